"""What a page of a search holds, how it goes on, and what is refused."""

import base64
import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.storage.database import Database
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.search.conditions import DatasetRuns
from penstock.tracking.search.runs import RunSearch
from penstock.tracking.search.sql import Sql
from penstock.tracking.service import TrackingService
from penstock.tracking.types import Metric, View


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    db = open_database(tmp_path, clock)
    yield db
    db.close()


@pytest.fixture
def tracking(db: Database) -> TrackingService:
    return TrackingService(db)


@pytest.fixture
def experiments(db: Database) -> ExperimentService:
    return ExperimentService(db)


def test_a_found_run_is_the_run_itself(tracking: TrackingService) -> None:
    run = tracking.create_run("churn", "first", tags={"stage": "a\"b'é"})
    tracking.log_batch(
        run.id, [Metric("auc", 0.7, 3), Metric("loss", "NaN"), Metric("top", "-Infinity")], {"depth": "3"}
    )
    tracking.create_run("other")
    page = tracking.search_runs("metrics.auc > 0.5", experiments=["churn"])
    assert page.runs == (tracking.get_run(run.id),)
    assert page.next == ""


def test_without_experiments_all_are_searched(tracking: TrackingService, experiments: ExperimentService) -> None:
    kept = tracking.create_run("kept")
    tracking.create_run("gone")
    experiments.delete_experiment(experiments.get_experiment("gone").id)
    assert [run.id for run in tracking.search_runs().runs] == [kept.id]
    assert tracking.search_runs(experiments=["gone"]).runs == ()
    assert len(tracking.search_runs(experiments=["gone"], view=View.DELETED).runs) == 1


def test_runs_added_meanwhile_shift_no_page(tracking: TrackingService, clock: ManualClock) -> None:
    first = []
    for _ in range(4):
        clock.advance(seconds=1)
        first.append(tracking.create_run("churn").id)
    page = tracking.search_runs(limit=2)
    clock.advance(seconds=1)
    tracking.create_run("churn")
    rest = tracking.search_runs(limit=2, page_token=page.next)
    assert [run.id for run in (*page.runs, *rest.runs)] == first[::-1]
    assert rest.next == ""


def test_a_run_is_found_by_its_name_tag(tracking: TrackingService) -> None:
    run = tracking.create_run("churn", "best one")
    tracking.create_run("churn", "another")
    for filter in ("tags.mlflow.runName = 'best one'", "run_name LIKE 'best%'", "attributes.`run name` ILIKE 'BEST%'"):
        assert [each.id for each in tracking.search_runs(filter).runs] == [run.id]
    assert len(tracking.search_runs("tags.`mlflow.runName` IS NOT NULL").runs) == 2
    assert tracking.search_runs("tags.`mlflow.runName` IS NULL").runs == ()
    assert [each.name for each in tracking.search_runs(order_by=["tags.mlflow.runName"]).runs] == [
        "another",
        "best one",
    ]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "====",
        "bm90IGpzb24",
        "W10",
        "x" * 30_000,
        base64.b64encode(b'{"offset": 2}').decode(),
        "\x00",
        "W1tbW1tb",
    ],
)
def test_a_token_that_nobody_gave_out_is_refused(tracking: TrackingService, token: str) -> None:
    with pytest.raises(InvalidInputError, match="is no page token of this search"):
        tracking.search_runs(page_token=token)


@pytest.mark.parametrize("place", [[], [1], [1, 2], ["a", "b"], [2**70, "a"], [True, "a"], [1.5, "a"], [None, "a"]])
def test_a_token_with_another_place_in_it_is_refused(tracking: TrackingService, place: list[Any]) -> None:
    tracking.create_run("churn")
    tracking.create_run("churn")
    mark = json.loads(_open(tracking.search_runs(limit=1).next))[0]
    forged = base64.urlsafe_b64encode(json.dumps([mark, *place]).encode()).decode().rstrip("=")
    with pytest.raises(InvalidInputError, match="is no page token of this search"):
        tracking.search_runs(limit=1, page_token=forged)


def test_a_token_of_another_search_is_refused(tracking: TrackingService) -> None:
    tracking.create_run("churn")
    tracking.create_run("churn")
    token = tracking.search_runs(limit=1).next
    assert len(tracking.search_runs(limit=1, page_token=token).runs) == 1
    with pytest.raises(InvalidInputError, match="it belongs to another search"):
        tracking.search_runs("metrics.a > 1", limit=1, page_token=token)


@pytest.mark.parametrize("filter", ["metrics.a", "nope = 'x'", "params.a LIKE '" + "%" * 6_000 + "'"])
def test_a_filter_that_makes_no_sense_is_refused(tracking: TrackingService, filter: str) -> None:
    with pytest.raises(InvalidInputError, match="filter"):
        tracking.search_runs(filter)


def test_an_experiment_that_is_not_there_is_named(tracking: TrackingService) -> None:
    with pytest.raises(NotFoundError, match="'nope'"):
        tracking.search_runs(experiments=["nope"])


def test_too_much_at_once_is_refused(db: Database) -> None:
    for asked in ({"max_results": 0}, {"max_results": 50_001}, {"experiment_ids": list(range(10_001))}):
        with db.snapshot() as tx, pytest.raises(InvalidInputError):
            RunSearch().find(tx, **{"experiment_ids": [0], **asked})  # type: ignore[arg-type]


def test_many_experiments_are_searched_at_once(db: Database, tracking: TrackingService) -> None:
    runs = [tracking.create_run(f"e{number}", tags={"n": str(number)}) for number in range(3)]
    with db.snapshot() as tx:
        found = RunSearch().find(tx, range(5_000), "tags.n != '1'", ["tags.n DESC"])
    assert [run.id for run in found.runs] == [runs[2].id, runs[0].id]


def test_runs_are_found_by_the_datasets_they_read(db: Database, tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.create_run("churn")
    asked: list[str] = []

    def by_id(clause: Any) -> Sql:
        asked.append(clause.key)
        return Sql("SELECT number AS run FROM runs WHERE id = ?", (run.id,))

    source: DatasetRuns = by_id
    with db.snapshot() as tx:
        assert [each.id for each in RunSearch(source).find(tx, range(5), "dataset.name = 'x'").runs] == [run.id]
        assert RunSearch().find(tx, range(5), "dataset.name = 'x'").runs == []
    assert asked == ["name"]


def test_times_are_compared_by_the_millisecond(tracking: TrackingService, clock: ManualClock) -> None:
    clock.advance(microseconds=1_500)
    run = tracking.create_run("churn")
    milliseconds = math.floor(run.started_at.timestamp() * 1000)
    for filter, is_found in [("=", True), ("!=", False), ("<=", True), (">", False)]:
        assert bool(tracking.search_runs(f"start_time {filter} {milliseconds}").runs) == is_found
    assert not tracking.search_runs("end_time != 5").runs  # a run that has not ended has no such time
    assert run.started_at.microsecond == timedelta(microseconds=1_500).microseconds


def test_experiments_are_found_and_ordered(experiments: ExperimentService, clock: ManualClock) -> None:
    made = []
    for name in ("a", "Ab", "b"):
        clock.advance(seconds=1)
        made.append(experiments.create_experiment(name, tags={"team": name}))
    ids = [each.id for each in made]

    def found(filter: str = "", order_by: list[str] | None = None, **more: Any) -> list[int]:
        return [each.id for each in experiments.search_experiments(filter, order_by or [], **more).experiments]

    assert found() == ids[::-1]
    assert found("name LIKE 'A%'") == [ids[1]]
    assert found("name ILIKE 'A%'", ["name DESC"]) == [ids[0], ids[1]]
    assert found(f"experiment_id IN ('{ids[0]}', '{ids[2]}')", ["experiment_id"]) == [ids[0], ids[2]]
    assert found("tags.team != 'a' AND tags.nope IS NULL") == [ids[2], ids[1]]
    assert found("tags.team IS NOT NULL", ["last_update_time ASC"]) == ids
    experiments.delete_experiment(ids[0])
    assert found(view=View.DELETED) == [ids[0]]
    first = experiments.search_experiments(limit=1)
    assert [each.id for each in first.experiments] == [ids[2]]
    assert found(limit=1, page_token=first.next) == [ids[1]]
    for filter in ("experiment_id = 'x'", "metrics.a > 1", "tags.team IN ('a')"):
        with pytest.raises(InvalidInputError, match="filter"):
            found(filter)
    with pytest.raises(InvalidInputError, match="nothing can be ordered by"):
        found("", ["tags.team"])


def _open(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
