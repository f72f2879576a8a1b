"""Facts of many callers at once: one that is refused leaves the others alone, and nothing of it behind."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from factories import open_database
from patience import PATIENCE_S
from penstock.core.errors import ConflictError, NotFoundError, PenstockError
from penstock.core.ids import RunId
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.tracking.facts import Facts
from penstock.tracking.sealing import Sealer
from penstock.tracking.service import TrackingService
from penstock.tracking.tables import Point, to_sortable
from penstock.tracking.types import Metric, Run


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path)
    yield db
    db.close()


@pytest.fixture
def tracking(db: Database) -> TrackingService:
    return TrackingService(db)


@pytest.fixture
def run(tracking: TrackingService) -> Run:
    return tracking.create_run("churn")


def point(key: str, step: int, value: float = 1.0) -> Point:
    return key, step, 1_000_000 * step, to_sortable(value)


def write(db: Database, tracking: TrackingService, *group: Facts) -> list[Exception | None]:
    return db.write(lambda tx: tracking.facts.apply([(tx, each) for each in group]))


def test_one_caller_is_refused_and_its_neighbours_are_not(db: Database, tracking: TrackingService, run: Run) -> None:
    ended = tracking.create_run("churn")
    tracking.end_run(ended.id)
    outcomes = write(
        db,
        tracking,
        Facts(run.id, [point("a", 1)], {"rate": "1"}),
        Facts(run.id, [point("b", 1)], {"rate": "2"}, {"tag": "x"}),
        Facts(RunId("nowhere"), [point("a", 1)]),
        Facts(ended.id, [point("a", 1)]),
        Facts(run.id, [point("a", 2)], {"rate": "1", "depth": "3"}),
    )
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        ConflictError,
        NotFoundError,
        ConflictError,
        type(None),
    ]
    held = tracking.get_run(run.id)
    assert held.params == {"rate": "1", "depth": "3"}
    assert {key: metric.step for key, metric in held.metrics.items()} == {"a": 2}
    assert held.tags == {}
    assert tracking.get_run(ended.id).metrics == {}


def test_nothing_is_added_to_a_deleted_run(db: Database, tracking: TrackingService, run: Run) -> None:
    tracking.delete_run(run.id)
    (outcome,) = write(db, tracking, Facts(run.id, [point("a", 1)], may_be_late=True))
    assert isinstance(outcome, ConflictError)
    tracking.restore_run(run.id)
    assert write(db, tracking, Facts(run.id, [point("a", 1)])) == [None]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(-3, 3), st.sampled_from([-1.0, 0.0, float("nan"), float("inf")])),
        max_size=30,
    ),
    size=st.integers(1, 7),
)
def test_the_latest_point_is_the_greatest_however_points_are_grouped(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, float]], size: int
) -> None:
    db = open_database(tmp_path_factory.mktemp("facts"))
    tracking = TrackingService(db)
    run = tracking.create_run("churn")
    points = [point(*each) for each in steps]
    for start in range(0, len(points), size):
        write(db, tracking, *(Facts(run.id, [each]) for each in points[start : start + size]))
    for key in "ab":
        of_key = {(step, at, value) for name, step, at, value in points if name == key}
        history = tracking.metric_history(run.id, key).points
        assert len(history) == len(of_key)
        if of_key:
            assert to_sortable(tracking.get_run(run.id).metrics[key].number) == max(of_key)[2]
    db.close()


def test_a_series_that_was_rolled_back_is_made_again(db: Database, tracking: TrackingService, run: Run) -> None:
    def write_and_fail(tx: Transaction) -> None:
        tracking.facts.join(tx, Facts(run.id, [point("a", 1)]))
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        db.write(write_and_fail)
    db.add(tracking.facts, Facts(run.id, [point("a", 2)])).result(PATIENCE_S)
    assert [held.step for held in tracking.metric_history(run.id, "a").points] == [2]


def test_a_group_that_was_lost_is_written_again(db: Database, tracking: TrackingService, run: Run) -> None:
    def fail_once(*_: object) -> None:
        db.on_group(lambda *_: None)
        raise OSError("on purpose")

    db.on_group(fail_once)
    waiting = [db.add(tracking.facts, Facts(run.id, [point(key, 1)])) for key in "ab"]
    with contextlib.suppress(PenstockError):
        [future.result(PATIENCE_S) for future in waiting]
    db.add(tracking.facts, Facts(run.id, [point("a", 2), point("b", 2)])).result(PATIENCE_S)
    assert {key: tracking.get_run(run.id).metrics[key].step for key in "ab"} == {"a": 2, "b": 2}


def test_a_point_costs_no_lookup_of_its_series(db: Database, tracking: TrackingService, run: Run) -> None:
    tracking.append_metrics(run.id, [Metric("loss", 1.0, 1)]).result()
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    tracking.append_metrics(run.id, [Metric("loss", 1.0, 2)]).result()
    assert [text for text in statements if "FROM metric_series" in text] == []


def test_late_points_are_sealed_anew(db: Database, tracking: TrackingService, run: Run) -> None:
    tracking.end_run(run.id)
    sealer = Sealer(db, tracking)
    assert not sealer.tick()
    write(db, tracking, Facts(run.id, [point("a", 1)], may_be_late=True))
    assert tracking.list_unsealed() == [run.id]
    assert sealer.tick()
    assert not sealer.tick()


def test_a_run_of_many_points_is_sealed_apart_from_its_end(db: Database, tracking: TrackingService, run: Run) -> None:
    tracking.log_batch(run.id, [Metric("loss", 1.0, step) for step in range(1_500)])
    tracking.end_run(run.id)
    assert tracking.list_unsealed() == [run.id]
    digest, points = db.read(tracking.digest_points, run.id)
    assert points == 1_500
    assert not tracking.seal_run(run.id, digest, points - 1)
    assert tracking.seal_run(run.id, digest, points)
    assert not tracking.seal_run(run.id, digest, points)
