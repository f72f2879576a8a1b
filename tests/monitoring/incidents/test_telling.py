"""Which messages are due: each step once for each rule, silence and acknowledgement respected."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from penstock.core.ids import IncidentId
from penstock.core.project.types import AlertSection
from penstock.monitoring.incidents.telling import find_step, fits
from penstock.monitoring.incidents.types import Incident, Silence

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOTICE = Incident(
    id=IncidentId("i1"),
    deployment="shop",
    severity="notice",
    kinds=("drift",),
    labels=("column:price",),
    summary="price moved",
    since=NOW - HOUR,
    until=NOW,
    opened_at=NOW,
)
PAGE = replace(NOTICE, severity="page", kinds=("drift", "performance"))
RESOLVED = replace(NOTICE, status="resolved")
EVERYTHING = AlertSection(to="stdout")
PAGES = AlertSection(to="stdout", severity="page")
LATER = AlertSection(to="stdout", after=HOUR)


def quiet(**about: str) -> Silence:
    return Silence(id="s", until=NOW + HOUR, reason="known", created_at=NOW, created_by="ada", **about)


def test_a_new_incident_is_told_once() -> None:
    assert find_step(NOTICE, EVERYTHING, {}, [], NOW) == "opened"
    assert find_step(NOTICE, EVERYTHING, {"opened": "notice"}, [], NOW) is None


def test_a_notice_never_reaches_a_rule_for_pages() -> None:
    assert find_step(NOTICE, PAGES, {}, [], NOW + 100 * HOUR) is None
    assert find_step(PAGE, PAGES, {}, [], NOW) == "opened"


def test_a_notice_that_becomes_a_page_is_told_again_once() -> None:
    assert find_step(PAGE, EVERYTHING, {"opened": "notice"}, [], NOW) == "worse"
    assert find_step(PAGE, EVERYTHING, {"opened": "notice", "worse": "page"}, [], NOW) is None


def test_a_rule_hears_only_the_kinds_that_it_names() -> None:
    rule = AlertSection(to="stdout", when=("performance",))
    assert find_step(NOTICE, rule, {}, [], NOW) is None
    assert find_step(PAGE, rule, {}, [], NOW) == "opened"


def test_what_nobody_acknowledges_is_escalated_after_a_while() -> None:
    assert find_step(NOTICE, LATER, {}, [], NOW + HOUR / 2) is None
    assert find_step(NOTICE, LATER, {}, [], NOW + HOUR) == "escalated"
    assert find_step(NOTICE, LATER, {"escalated": "notice"}, [], NOW + 9 * HOUR) is None


def test_what_somebody_acknowledged_is_not_escalated() -> None:
    assert find_step(replace(NOTICE, status="acknowledged"), LATER, {}, [], NOW + 9 * HOUR) is None


def test_the_end_is_told_to_whoever_was_told_of_the_beginning_and_to_nobody_else() -> None:
    assert find_step(RESOLVED, EVERYTHING, {"opened": "notice"}, [], NOW) == "resolved"
    assert find_step(RESOLVED, EVERYTHING, {"opened": "notice", "resolved": "notice"}, [], NOW) is None
    assert find_step(RESOLVED, EVERYTHING, {}, [], NOW) is None
    assert find_step(RESOLVED, LATER, {}, [], NOW + 9 * HOUR) is None


def test_a_silence_keeps_quiet_and_its_end_tells_what_is_still_open() -> None:
    assert find_step(NOTICE, EVERYTHING, {}, [quiet(deployment="shop")], NOW) is None
    assert find_step(PAGE, EVERYTHING, {"opened": "notice"}, [quiet()], NOW) is None
    assert find_step(NOTICE, EVERYTHING, {}, [], NOW + HOUR) == "opened"


def test_the_end_of_what_was_told_is_told_although_silence_reigns() -> None:
    assert find_step(RESOLVED, EVERYTHING, {"opened": "notice"}, [quiet()], NOW) == "resolved"


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, True),
        ({"deployment": "shop"}, True),
        ({"deployment": "fraud"}, False),
        ({"kind": "drift"}, False),  # it is about performance as well
        ({"label": "column:price"}, True),
        ({"label": "column:size"}, False),
        ({"deployment": "shop", "label": "column:size"}, False),
    ],
)
def test_a_silence_fits_an_incident_that_all_it_names_fits(about: dict[str, str], expected: bool) -> None:
    assert fits(quiet(**about), PAGE) is expected
