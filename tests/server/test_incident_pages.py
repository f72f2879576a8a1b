"""Incidents, causes, young windows and deployments that are served elsewhere, as pages show them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from msgspec import structs, to_builtins

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role
from penstock.core.project.parse import parse_project
from penstock.monitoring.causes.explain import tell_cause
from penstock.monitoring.causes.types import Cause, CauseColumn, CauseSegment, DataFault, LossSplit, Upstream
from penstock.monitoring.incidents.labels import signal_of
from penstock.monitoring.incidents.types import Incident
from penstock.monitoring.types import Alert, Estimate, EstimatorState, Maturity, Window
from penstock.registry.format.types import Column
from penstock.server.app import build_server
from penstock.server.web.words.formats import format_moment
from server.reading import Page, open_page
from server.watched import DAY, START, drift, window
from serving_http import serve

OWNER = Actor("ada", Role.ADMIN)
NAME = "credit"
WITHDRAWN = "withdrawn in 2026-01-06: the estimate was 0.9, and 0.7 was measured on 400 outcomes"
RULES = """
[project]
name = "credit"
task = "binary"
[pipeline]
entry = "pipeline:train"
[[alert]]
to = "file"
path = "alerts.jsonl"
name = "pager"
"""
CAUSE = Cause(
    faults=[DataFault(kind="unit_change", columns=["income"], share=0.9, detail="income is 100 times what it was")],
    split=LossSplit(
        change=0.2,
        inputs=0.05,
        relation=0.15,
        inputs_error=0.01,
        relation_error=0.02,
        moved=0.71,
        overlap=0.4,
        reference_rows=900,
        rows=800,
        verdict="both",
    ),
    columns=[CauseColumn(column="income", effect=0.04, error=0.011)],
    segments=[CauseSegment(segment="region = south", rows=200, share=0.25, rise=0.3, error=0.05, p_value=1e-6)],
    upstream=[Upstream(dataset="loans", trained_on=3, newest=5, since=START)],
)


class World(NamedTuple):
    services: Services
    config: Config
    url: str

    def incident(self) -> Incident:
        return self.services.incidents.list_incidents()[0]

    def page(self) -> str:
        return unescape(open_page(f"{self.url}/incidents/{self.incident().id}").text)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A model that is served elsewhere, with a drop of its performance and an incident that somebody was told of."""
    config = Config(home=tmp_path / ".penstock")
    services = open_app(config, actor=OWNER)
    services.external.declare(NAME, "binary")
    services.external.add_version(NAME, 1, [Column("income", "double")], services.objects.put_bytes(b"rows"))
    for held in _windows():
        services.monitoring.record_window(held)
    _raise_incident(services, tmp_path)
    with serve(build_server(services, config=config, owner=OWNER, project=None)) as url:
        yield World(services, config, url)
    services.close()


def _windows() -> list[Window]:
    young = Maturity(
        answered=100,
        known=0.3,
        expected=0.31,
        matures_at=START + 40 * DAY,
        weighted=0.8123,
        note="at this age 31% of the outcomes are known, and in the end 90%",
    )
    gone = Estimate(metric="accuracy", note=WITHDRAWN, state=EstimatorState(trusted=False, withdrawn=WITHDRAWN))
    known: dict[str, Any] = {"deployment": NAME, "loss": None, "revisions": []}
    moved = drift("income", 1e-9, drifted=True)
    return [window(0, drift("income"), **known), window(1, moved, estimate=gone, maturity=young, **known)]


def _raise_incident(services: Services, folder: Path) -> None:
    cause = structs.replace(CAUSE, told=tell_cause(CAUSE))
    evidence = {"version": 1, "cause": to_builtins(cause)}
    raised = services.monitoring.list_windows(NAME)[1]
    summary = f"accuracy fell to 0.7. {cause.told}"
    alert: Alert = services.monitoring.open_alert(raised, "performance", summary, evidence)
    lease = services.incidents.hold_lease(NAME, "a", 60.0)
    assert lease is not None
    services.incidents.apply_signals(NAME, [signal_of(alert)], lease.fence)
    project = parse_project(RULES, root=folder)
    assert services.incidents.put_into_outbox(project, "http://penstock.test", lease.fence) == 1
    (delivery,) = services.incidents.list_deliveries()
    services.incidents.note_try(delivery, lease.fence)


@pytest.mark.parametrize(
    "path", ["/deployments", f"/deployments/{NAME}/monitoring", f"/deployments/{NAME}/windows/2026-01-06T00:00"]
)
def test_a_deployment_that_is_served_elsewhere_has_pages(world: World, path: str) -> None:
    page = open_page(world.url + path)
    assert page.status_code == 200
    assert "served elsewhere" in page.text
    assert Page(page.text).mistakes == []
    assert {link for link in Page(page.text).links if link.startswith("/models/")} == set()
    for link in Page(page.text).links:
        assert httpx.get(world.url + link).status_code in (200, 302, 307) or link.startswith("/data/"), link


def test_all_that_is_known_of_it_is_what_is_watched(world: World) -> None:
    answer = open_page(f"{world.url}/deployments/{NAME}")
    assert answer.headers["location"] == f"/deployments/{NAME}/monitoring"


def test_lamps_on_pages_are_those_of_the_command_line(world: World) -> None:
    lamps = world.services.monitoring.get_lamps(NAME)
    text = unescape(open_page(f"{world.url}/deployments/{NAME}/monitoring").text)
    for lamp in (lamps.inputs, lamps.estimated, lamps.measured):
        assert lamp.why in text
    assert "Inputs: changed" in text and "Estimated performance: not known" in text
    assert f'<a href="/deployments/{NAME}/windows/2026-01-06T00:00">See the window</a>' in text


@pytest.mark.parametrize("path", ["monitoring", "windows/2026-01-06T00:00"])
def test_a_withdrawn_estimator_and_a_young_window_say_so(world: World, path: str) -> None:
    text = unescape(open_page(f"{world.url}/deployments/{NAME}/{path}").text)
    assert "estimator withdrawn" in text and f"It was {WITHDRAWN}" in text
    assert "at this age 31% of the outcomes are known" in text
    assert f"from {format_moment(START + 40 * DAY)}" in text and "0.8123" in text


def test_a_cause_is_told_in_its_parts_and_faults_of_the_data_come_first(world: World) -> None:
    window_page = unescape(open_page(f"{world.url}/deployments/{NAME}/windows/2026-01-06T00:00").text)
    parts = (
        "income is 100 times what it was",
        "Rows of harder kinds come, and the same rows turn out otherwise.",
        '+0.1500</td><td class="num">0.0200',
        "Columns that moved towards harder rows",
        "region = south",
        'href="/data/loans/5"',
    )
    for text in (window_page, world.page()):
        before, _, after = text.partition('<div class="cause">')
        places = [after.index(part) for part in parts]
        assert places == sorted(places)
        assert "accuracy fell to 0.7" in before


def test_a_message_proposes_to_mend_faulty_data_and_leads_to_the_incident(world: World) -> None:
    (delivery,) = world.services.incidents.list_deliveries()
    assert "mend the data before anything else (income is 100 times what it was)" in delivery.message["proposal"]
    assert delivery.message["look"] == f"http://penstock.test/incidents/{world.incident().id}"


def test_the_list_says_what_it_is_about_who_was_told_and_who_looks_after_it(world: World) -> None:
    page = open_page(f"{world.url}/incidents")
    assert Page(page.text).mistakes == []
    assert f"/incidents/{world.incident().id}" in Page(page.text).links
    assert "pager" in page.text and "nobody yet" in page.text
    world.services.incidents.acknowledge_incident(world.incident().id)
    assert "nobody yet" not in open_page(f"{world.url}/incidents").text


def test_an_incident_shows_deliveries_and_silences(world: World) -> None:
    until = datetime.now(UTC) + DAY
    world.services.incidents.silence(until, "a migration", deployment=NAME)
    world.services.incidents.silence(until, "of another", deployment="shop")
    text = world.page()
    assert Page(text).mistakes == []
    assert "<td>pager</td><td>opened</td>" in text and "sent" in text
    assert "a migration" in text and "of another" not in text


def test_it_is_acknowledged_and_resolved_by_whoever_sends_the_form(world: World) -> None:
    place = f"{world.url}/incidents/{world.incident().id}"
    answer = httpx.post(f"{place}/acknowledge", data={"note": "lööking"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/incidents/{world.incident().id}")
    held = world.incident()
    assert (held.status, held.acknowledged_by, held.note) == ("acknowledged", "ada", "lööking")
    assert "/acknowledge" not in world.page()
    assert httpx.post(f"{place}/resolve", data={"reason": " "}).status_code == 422
    assert httpx.post(f"{place}/resolve", data={"reason": "mended"}).status_code == 303
    assert world.incident().resolution == "mended"
    assert world.services.monitoring.list_alerts(NAME, "open") == []
    assert 'method="post"' not in world.page()
    assert httpx.post(f"{place}/resolve", data={"reason": "again"}).status_code == 409
    assert httpx.post(f"{world.url}/incidents/none/acknowledge").status_code == 404


def test_forms_take_the_roles_of_the_api(world: World) -> None:
    config = structs.replace(world.config, token="secret")
    with serve(build_server(world.services, config=config, owner=OWNER, project=None)) as url:
        place = f"{url}/incidents/{world.incident().id}"
        roles = ("reader", "contributor", "maintainer")
        secrets = {role: world.services.tokens.create_token(f"the-{role}", role).secret for role in roles}
        codes = {}
        for role, secret in secrets.items():
            headers = {"authorization": f"Bearer {secret}"}
            told = (("acknowledge", {}), ("resolve", {"reason": "mended"}))
            codes[role] = [httpx.post(f"{place}/{verb}", data=data, headers=headers).status_code for verb, data in told]
    assert codes == {"reader": [403, 403], "contributor": [303, 403], "maintainer": [303, 303]}
    assert (world.incident().acknowledged_by, world.incident().resolved_by) == ("the-contributor", "the-maintainer")


def test_a_form_of_another_site_is_refused(world: World) -> None:
    place = f"{world.url}/incidents/{world.incident().id}/acknowledge"
    assert httpx.post(place, headers={"origin": "http://evil.example"}).status_code == 403
    assert world.incident().status == "open"
