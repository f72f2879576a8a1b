"""A spool's records are applied once and in order, however often and in whichever order batches are sent."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import open_database
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.framing import frame_record
from penstock.core.ids import RunId
from penstock.storage.database import Database
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.deliveries.applying import to_sortables
from penstock.tracking.deliveries.records import Begin, End, Join, Params, Points, Record, Tags, encode_record
from penstock.tracking.deliveries.service import DeliveryService
from penstock.tracking.service import TrackingService
from penstock.tracking.tables import to_sortable
from penstock.tracking.types import RunSource, RunStatus

RUN = RunId("a" * 32)
BEGIN = Begin(RUN, 1_000_000, "shop", "first", {"team": "a"}, RunSource())


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path)
    yield db
    db.close()


@pytest.fixture
def tracking(db: Database) -> TrackingService:
    return TrackingService(db)


@pytest.fixture
def deliveries(db: Database, tracking: TrackingService) -> DeliveryService:
    return DeliveryService(db, tracking, ArtifactService(db))


def frames(*records: Record | bytes) -> bytes:
    return b"".join(frame_record(record if isinstance(record, bytes) else encode_record(record)) for record in records)


def point(number: int) -> Points:
    return Points(RUN, 2_000_000 + number, number, {"loss": float(number)})


def test_batches_sent_twice_and_out_of_order_are_applied_once(
    deliveries: DeliveryService, tracking: TrackingService
) -> None:
    records: list[Record] = [BEGIN, *(point(number) for number in range(60))]
    batches = [(first + 1, frames(*records[first : first + 7])) for first in range(0, len(records), 5)]
    chance = random.Random(5)
    while deliveries.get_delivery("sp").last < len(records):
        first, body = chance.choice(batches)
        try:
            deliveries.deliver("sp", first, body)
        except ConflictError:
            assert first > deliveries.get_delivery("sp").last + 1
    points = tracking.metric_history(RUN, "loss").points
    assert [found.step for found in points] == list(range(60))


def test_what_cannot_be_taken_is_named_and_the_rest_is_applied(
    deliveries: DeliveryService, tracking: TrackingService
) -> None:
    body = frames(
        BEGIN,
        Params(RUN, 1, {"rate": "1"}),
        Params(RUN, 1, {"rate": "2"}),
        Points(RUN, 1, 0, {"bad\n": 1.0}),
        b"\xc0",
        Points(RunId("nobody"), 1, 0, {"loss": 1.0}),
        Tags(RUN, 1, {"x": "y" * 9_000_000}),
        point(3),
        End(RUN, 3_000_000, RunStatus.FINISHED),
    )
    answer = deliveries.deliver("sp", 1, body)
    assert [(refusal.sequence, refusal.code) for refusal in answer.refused] == [
        (3, "CONFLICT"),
        (4, "INVALID_INPUT"),
        (5, "INVALID_INPUT"),
        (6, "NOT_FOUND"),
        (7, "INVALID_INPUT"),
    ]
    assert deliveries.deliver("sp", 1, body) == answer
    assert deliveries.get_delivery("sp") == answer
    run = tracking.get_run(RUN)
    assert (run.params, run.status, run.tags["team"]) == ({"rate": "1"}, RunStatus.FINISHED, "a")
    assert run.started_at.timestamp() == 1.0
    assert run.ended_at is not None
    assert run.ended_at.timestamp() == 3.0
    assert run.metrics["loss"].number == 3.0


@pytest.mark.parametrize("first", [0, -1, 2])
def test_a_gap_is_refused(deliveries: DeliveryService, first: int) -> None:
    with pytest.raises(ConflictError, match="number 1"):
        deliveries.deliver("sp", first, frames(BEGIN))


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_damaged_batch_changes_nothing(deliveries: DeliveryService, tracking: TrackingService, cut: int) -> None:
    with pytest.raises(InvalidInputError, match="records"):
        deliveries.deliver("sp", 1, frames(BEGIN, point(1))[:-cut])
    assert deliveries.get_delivery("sp").last == 0
    with pytest.raises(NotFoundError):
        tracking.get_run(RUN)


def test_a_spool_that_goes_on_with_a_run_waits_for_its_beginning(
    deliveries: DeliveryService, tracking: TrackingService
) -> None:
    body = frames(Join(RUN, 1, reopen=False), point(1))
    with pytest.raises(NotFoundError):
        deliveries.deliver("second", 1, body)
    deliveries.deliver("first", 1, frames(BEGIN))
    assert deliveries.deliver("second", 1, body).refused == ()
    assert tracking.get_run(RUN).metrics["loss"].step == 1


def test_a_lost_process_ends_its_run_only_where_nobody_did(
    deliveries: DeliveryService, tracking: TrackingService
) -> None:
    lost = End(RUN, 9_000_000, RunStatus.KILLED, lost=True)
    deliveries.deliver("sp", 1, frames(BEGIN, End(RUN, 3_000_000, RunStatus.FINISHED), lost))
    assert tracking.get_run(RUN).status is RunStatus.FINISHED


def test_a_process_that_was_given_up_for_lost_still_says_how_its_run_ended(
    deliveries: DeliveryService, tracking: TrackingService
) -> None:
    deliveries.deliver("first", 1, frames(BEGIN))
    deliveries.deliver("second", 1, frames(Join(RUN, 2_000_000, reopen=True), point(1)))
    deliveries.deliver("first", 2, frames(End(RUN, 1_500_000, RunStatus.KILLED, lost=True)))
    assert tracking.get_run(RUN).status is RunStatus.KILLED
    assert deliveries.deliver("second", 3, frames(End(RUN, 3_000_000, RunStatus.FINISHED))).refused == ()
    run = tracking.get_run(RUN)
    assert run.ended_at is not None
    assert (run.status, run.ended_at.timestamp()) == (RunStatus.FINISHED, 3.0)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_many_floats_are_turned_as_one_is(values: list[float]) -> None:
    assert to_sortables(values) == [to_sortable(value) for value in values]
