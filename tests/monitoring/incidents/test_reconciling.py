"""Incidents follow from what speaks: the same whatever was missed, repeated or seen in another order."""

import itertools
import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.monitoring.incidents.reconciling import BY_ITSELF, Changes, Known, reconcile
from penstock.monitoring.incidents.types import Incident, IncidentSignal, Signal

DAY = timedelta(days=1)
START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def signal(key: str, *labels: str, day: int = 0, kind: str = "drift", **more: object) -> Signal:
    since = START + day * DAY
    given: dict[str, object] = {"deployment": "shop", "summary": f"{key} moved", "until": since + DAY} | more
    return Signal(key=key, kind=kind, labels=labels, since=since, **given)  # type: ignore[arg-type]


class Book:
    """Keeps what `reconcile` asks for, as the database does."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.signals: dict[tuple[str, str], IncidentSignal] = {}
        self.now = NOW
        self._names = (f"i{number}" for number in itertools.count(1))

    def look(self, *signals: Signal) -> Changes:
        self.now += timedelta(seconds=1)
        unresolved = [incident for incident in self.incidents.values() if not incident.is_resolved]
        speaking = [held for held in self.signals.values() if held.ended_at is None]
        changes = reconcile(signals, Known(unresolved, speaking), self.now, lambda: next(self._names))
        self.incidents |= {incident.id: incident for incident in changes.incidents}
        self.signals |= {(held.incident, held.key): held for held in changes.signals}
        return changes

    @property
    def unresolved(self) -> list[Incident]:
        return [incident for incident in self.incidents.values() if not incident.is_resolved]


def test_alerts_about_the_same_column_are_one_incident_even_weeks_apart() -> None:
    book = Book()
    book.look(signal("a", "column:price"))
    book.look(signal("a", "column:price"), signal("b", "column:price", "column:size", day=20))
    (incident,) = book.incidents.values()
    assert incident.labels == ("column:price", "column:size")
    assert (incident.since, incident.until) == (START, START + 21 * DAY)


def test_alerts_of_the_same_window_are_one_incident_and_the_worst_is_what_it_says() -> None:
    book = Book()
    book.look(signal("a", "column:price"), signal("p", kind="performance", severity="page"))
    (incident,) = book.incidents.values()
    assert (incident.severity, incident.summary) == ("page", "p moved")
    assert set(incident.kinds) == {"drift", "performance"}


def test_an_alert_about_something_else_at_another_time_is_another_incident() -> None:
    book = Book()
    book.look(signal("a", "column:price"), signal("b", "column:size", day=3))
    assert len(book.incidents) == 2


def test_another_deployment_is_another_incident() -> None:
    book = Book()
    book.look(signal("a", "column:price"), signal("b", "column:price", deployment="fraud"))
    assert len(book.incidents) == 2


def test_what_follows_from_a_signal_joins_it() -> None:
    book = Book()
    book.look(signal("alert:a", "column:price"))
    book.look(signal("alert:a", "column:price"), signal("episode:e", kind="episode", day=9, follows="alert:a"))
    assert len(book.incidents) == 1


def test_an_incident_is_resolved_when_nothing_speaks_for_it_any_more_and_says_why() -> None:
    book = Book()
    book.look(signal("a", "column:price"), signal("b", "column:price", day=1))
    book.look(signal("a", "column:price", ended="calm"), signal("b", "column:price", day=1))
    assert len(book.unresolved) == 1
    book.look(signal("b", "column:price", ended="version 3 is live"))
    (incident,) = book.incidents.values()
    assert (incident.status, incident.resolution, incident.resolved_by) == ("resolved", "version 3 is live", BY_ITSELF)


def test_the_same_again_after_a_resolution_is_a_new_incident() -> None:
    book = Book()
    book.look(signal("a", "column:price"))
    book.look()
    book.look(signal("a", "column:price"))
    assert [incident.status for incident in book.incidents.values()] == ["resolved", "open"]


def test_what_takes_the_place_of_a_signal_in_the_same_look_goes_on_with_its_incident() -> None:
    book = Book()
    book.look(signal("a", "column:price"))
    book.look(signal("a", "column:price", ended="answered"), signal("b", "column:price", day=9))
    assert [incident.status for incident in book.incidents.values()] == ["open"]


def test_what_ended_before_anybody_saw_it_opens_nothing() -> None:
    assert not Book().look(signal("a", "column:price", ended="calm"))


def test_an_incident_becomes_a_page_when_harm_joins_it_and_a_notice_when_harm_goes() -> None:
    book = Book()
    drift, harm = signal("a", "column:price"), signal("p", kind="performance", severity="page")
    book.look(drift)
    assert book.unresolved[0].severity == "notice"
    book.look(drift, harm)
    assert book.unresolved[0].severity == "page"
    book.look(drift)
    assert book.unresolved[0].severity == "notice"


def test_a_signal_whose_incident_a_person_resolved_opens_no_other() -> None:
    book = Book()
    book.look(signal("a", "column:price"))
    (incident,) = book.incidents.values()
    book.incidents[incident.id] = type(incident)(
        **{name: getattr(incident, name) for name in incident.__struct_fields__} | {"status": "resolved"}
    )
    assert not book.look(signal("a", "column:price"))
    book.look(signal("a", "column:price"), signal("b", "column:price", day=9))
    assert len(book.unresolved) == 1


SIGNALS = st.lists(
    st.builds(
        signal,
        st.sampled_from("abcdef"),
        st.sampled_from(["column:x", "column:y", "slice:z"]),
        day=st.integers(0, 12),
        severity=st.sampled_from(["notice", "page"]),
    ),
    max_size=6,
    unique_by=lambda each: each.key,
)


@given(st.lists(SIGNALS, max_size=6))
def test_looking_twice_at_the_same_changes_nothing_and_the_rest_holds(looks: list[list[Signal]]) -> None:
    book = Book()
    for signals in looks:
        book.look(*signals)
        assert not book.look(*signals)
        speaking = {held.key for held in book.signals.values() if held.ended_at is None}
        assert speaking == {each.key for each in signals}
        homes = {held.incident for held in book.signals.values() if held.ended_at is None}
        assert homes == {incident.id for incident in book.unresolved}


@given(SIGNALS, st.integers(0, 1_000))
def test_the_order_in_which_signals_are_named_changes_nothing(signals: list[Signal], seed: int) -> None:
    first, second = Book(), Book()
    first.look(*signals)
    shuffled = random.Random(seed).sample(signals, len(signals))
    second.look(*shuffled)
    assert first.incidents == second.incidents
    assert first.signals == second.signals
