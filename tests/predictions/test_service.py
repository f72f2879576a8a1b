"""Segments and outcomes in the database: idempotent, joined in any order, counted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Digest, PredictionId, SegmentId, new_id
from penstock.predictions.segment_file import describe_segment
from penstock.predictions.service import PredictionService
from penstock.predictions.types import Arrivals, Outcome, PredictionRow, Segment
from penstock.storage.columns import to_microseconds
from penstock.storage.references import list_kept

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MONDAY)


@pytest.fixture
def service(tmp_path: Path, clock: ManualClock) -> Iterator[PredictionService]:
    db = open_database(tmp_path, clock)
    yield PredictionService(db)
    db.close()


def make_segment(
    rows: int = 3, *, deployment: str = "shop", at: datetime = MONDAY, revision: int = 1, errors: int = 0
) -> Segment:
    made = [
        PredictionRow(
            at_us=to_microseconds(at) + index,
            revision=revision,
            key="",
            inputs="{}",
            output="{}",
            latency_us=1000 * (index + 1),
            status="error" if index < errors else "ok",
        )
        for index in range(rows)
    ]
    return replace(describe_segment(SegmentId(new_id()), deployment, made), digest=Digest("0" * 64))


def make_outcome(segment: Segment, row: int = 0, value: object = 1, at: datetime = MONDAY) -> Outcome:
    return Outcome(prediction_id=PredictionId(f"{segment.id}-{row}"), value=value, at=at)


def test_a_segment_sent_twice_counts_once(service: PredictionService) -> None:
    segment = make_segment()
    first = service.add_segment(segment)
    assert service.add_segment(segment) == first
    assert service.list_segments("shop") == [first]
    assert service.get_traffic("shop").rows == 3


def test_a_different_segment_of_the_same_id_is_refused(service: PredictionService) -> None:
    segment = make_segment()
    service.add_segment(segment)
    other = describe_segment(segment.id, "shop", [PredictionRow(0, 1, "", "", "", 1)])
    with pytest.raises(ConflictError, match="is known with 3 rows"):
        service.add_segment(replace(other, digest=Digest("1" * 64)))


def test_a_segment_without_its_object_is_refused(service: PredictionService) -> None:
    with pytest.raises(InvalidInputError, match="has no digest"):
        service.add_segment(describe_segment(SegmentId("x"), "shop", [PredictionRow(0, 1, "", "", "", 1)]))


def test_segments_are_listed_by_cursor_and_by_event_time(service: PredictionService) -> None:
    held = [service.add_segment(make_segment(at=MONDAY + timedelta(hours=hour))) for hour in range(4)]
    assert [segment.number for segment in held] == [1, 2, 3, 4]
    assert service.list_segments("shop", after=2) == held[2:]
    inside = service.list_segments("shop", start=MONDAY + timedelta(hours=1), end=MONDAY + timedelta(hours=3))
    assert inside == held[1:3]
    assert service.list_segments("churn") == []


def test_what_has_arrived_is_told_by_numbers(service: PredictionService) -> None:
    first, second = (service.add_segment(make_segment(at=MONDAY + timedelta(days=day))) for day in range(2))
    service.add_segment(make_segment(deployment="other"))
    service.add_outcomes([make_outcome(first), make_outcome(second)])
    seen = service.get_arrivals("shop")
    assert (seen.segments, seen.outcomes) == (2, 2)
    assert service.get_arrivals().segments == 3
    assert service.get_arrivals("none") == Arrivals()
    service.add_outcomes([make_outcome(first, 1)])
    assert [outcome.segment for outcome in service.list_outcomes("shop", after=seen.outcomes)] == [first.id]
    assert service.get_arrivals("shop").outcomes == 3


def test_the_watermark_is_the_newest_event_time_and_never_goes_back(service: PredictionService) -> None:
    assert service.watermark("shop") is None
    service.add_segment(make_segment(rows=1, at=MONDAY))
    service.add_segment(make_segment(rows=1, at=MONDAY - timedelta(days=3)))
    assert service.watermark("shop") == MONDAY


def test_outcomes_find_their_predictions_whichever_comes_first(service: PredictionService) -> None:
    early, late = make_segment(), make_segment()
    service.add_segment(early)
    added = service.add_outcomes([make_outcome(early), make_outcome(late)])
    assert (added.accepted, added.unmatched) == (2, 1)
    assert service.count_unmatched() == 1
    cursor = service.list_outcomes("shop")[-1].number

    service.add_segment(late)
    assert service.count_unmatched() == 0
    (found,) = service.list_outcomes("shop", after=cursor)
    assert found.prediction_id == f"{late.id}-0"


def test_an_outcome_of_an_unknown_prediction_is_kept_and_counted(service: PredictionService) -> None:
    segment = make_segment(rows=2)
    ids = ["no id of ours", f"{segment.id}-2", f"{segment.id}-x", f"{segment.id}-99999999999999999999999"]
    service.add_outcomes([Outcome(prediction_id=PredictionId(text), value=1, at=MONDAY) for text in ids])
    service.add_segment(segment)
    assert service.count_unmatched() == 4
    assert [item.prediction_id for item in service.list_unmatched()] == ids
    assert service.list_outcomes("shop") == []


def test_outcomes_sent_again_change_nothing(service: PredictionService) -> None:
    segment = service.add_segment(make_segment())
    items = [make_outcome(segment, row, value=["a", "b"]) for row in range(3)]
    service.add_outcomes(items)
    before = service.list_outcomes("shop")
    again = service.add_outcomes(items)
    assert (again.accepted, again.repeated) == (0, 3)
    assert service.list_outcomes("shop") == before
    assert before[0].value == ["a", "b"]


def test_the_later_outcome_of_a_prediction_counts_and_is_listed_anew(service: PredictionService) -> None:
    segment = service.add_segment(make_segment())
    service.add_outcomes([make_outcome(segment, value=1, at=MONDAY + timedelta(hours=1)), make_outcome(segment, 1)])
    service.add_outcomes([make_outcome(segment, value=0, at=MONDAY)])
    assert [item.value for item in service.list_outcomes("shop")] == [1, 1]
    service.add_outcomes([make_outcome(segment, value=7, at=MONDAY + timedelta(hours=2))])
    (revised,) = service.list_outcomes("shop", after=2)
    assert (revised.value, revised.number) == (7, 3)


def test_outcomes_are_found_by_the_segments_of_their_predictions(service: PredictionService) -> None:
    held = [service.add_segment(make_segment(at=MONDAY + timedelta(days=day))) for day in range(3)]
    service.add_outcomes([make_outcome(segment, at=MONDAY + timedelta(days=30)) for segment in held])
    service.add_outcomes([make_outcome(held[1], row=99)])  # there is no such row
    found = service.get_outcomes([held[1].id, held[2].id, SegmentId("none")])
    assert [outcome.segment for outcome in found] == [held[1].id, held[2].id]
    assert service.get_segments([held[2].id, held[0].id, SegmentId("none")]) == [held[0], held[2]]


def test_an_outcome_that_cannot_be_one_names_its_field(service: PredictionService) -> None:
    with pytest.raises(InvalidInputError) as caught:
        service.add_outcomes([Outcome(prediction_id=PredictionId("a-1"), value=1, at=datetime.max)])
    assert caught.value.field == "outcomes[0].at"
    with pytest.raises(InvalidInputError) as caught:
        service.add_outcomes([Outcome(prediction_id=PredictionId("\0"), value=1, at=MONDAY)])
    assert caught.value.field == "outcomes[0].prediction_id"


def test_traffic_adds_up_by_revision(service: PredictionService, clock: ManualClock) -> None:
    service.add_segment(make_segment(rows=4, errors=1))
    clock.advance(minutes=5)
    service.add_segment(make_segment(rows=6, revision=2, errors=3))
    service.add_segment(make_segment(rows=2, revision=1))
    traffic = service.get_traffic("shop")
    assert (traffic.rows, traffic.errors) == (12, 4)
    assert [(counts.revision, counts.rows, counts.failures) for counts in traffic.revisions] == [(1, 6, 1), (2, 6, 3)]
    assert traffic.latency_p99_ms is not None and 6.0 <= traffic.latency_p99_ms <= 6.8
    assert service.get_traffic("shop", start=MONDAY).revisions == traffic.revisions
    recent = service.get_traffic("shop", received_since=clock.now())
    assert [(counts.revision, counts.rows) for counts in recent.revisions] == [(1, 2), (2, 6)]


def test_a_segment_keeps_its_object_and_joins_the_lineage(service: PredictionService) -> None:
    segment = service.add_segment(make_segment(revision=7))
    assert [(str(owner), digest) for owner, digest in service.db.read(list_kept)] == [
        (f"segment:{segment.id}", segment.digest)
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(6)))
def test_any_order_of_arrival_ends_the_same(service: PredictionService, order: list[int]) -> None:
    name = f"d{new_id()}"
    pair = [make_segment(rows=2, deployment=name) for _ in range(2)]
    steps = [lambda s=segment: service.add_segment(s) for segment in pair]
    steps += [
        lambda s=segment, v=value: service.add_outcomes([make_outcome(s, value=v, at=MONDAY + timedelta(hours=v))])
        for segment in pair
        for value in (1, 2)
    ]
    for index in order:
        steps[index]()
        steps[index]()
    held = service.list_outcomes(name)
    assert sorted((item.prediction_id, item.value) for item in held) == sorted((f"{s.id}-0", 2) for s in pair)
    assert len({item.number for item in held}) == 2
