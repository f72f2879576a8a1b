"""The verbs of logged models on a real database."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.events import Edge, Entry
from penstock.core.ids import ExperimentId, Ref
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.logged_models.points import ModelPoint, ModelPoints
from penstock.tracking.logged_models.service import LoggedModelService
from penstock.tracking.logged_models.take_over_verbs import TakenLoggedModel
from penstock.tracking.logged_models.types import DatasetFilter, LoggedModelStatus, ModelOrder
from penstock.tracking.service import TrackingService
from penstock.tracking.tables import to_sortable
from tracking.plans import find_scans, watch


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path, ManualClock())
    yield db
    db.close()


@pytest.fixture
def models(db: Database) -> LoggedModelService:
    return LoggedModelService(db)


@pytest.fixture
def home(db: Database) -> ExperimentId:
    return ExperimentService(db).create_experiment("churn").id


def add_points(db: Database, *points: ModelPoint) -> int:
    kind = ModelPoints(db)

    def add(tx: Transaction) -> int:
        return kind.add(tx.connection, points)

    return db.write(add)


def point(model_id: str, value: float, **more: int | str) -> ModelPoint:
    given = {"run_id": "r", "key": "auc", "step": 0, "at": 0} | more
    return ModelPoint(model_id=model_id, value=to_sortable(value), **given)


def test_the_run_that_made_a_model_is_its_source(
    db: Database, models: LoggedModelService, home: ExperimentId, edges: list[Edge]
) -> None:
    run = TrackingService(db).create_run("churn")
    made = models.create_logged_model(home, source_run_id=run.id)
    models.create_logged_model(home, source_run_id="elsewhere")
    assert edges == [Edge(Ref("run", run.id), made.ref, "logged")]


def test_what_happened_to_a_model_is_audited_once(
    db: Database, models: LoggedModelService, home: ExperimentId, entries: list[Entry]
) -> None:
    made = models.create_logged_model(home, "m")
    for _ in range(2):
        models.finish_logged_model(made.id, LoggedModelStatus.READY, "done")
        models.delete_logged_model(made.id)
    assert [entry.action for entry in entries] == [
        "logged_models.create_logged_model",
        "logged_models.finish_logged_model",
        "logged_models.delete_logged_model",
    ]
    held = models.get_logged_model(made.id, with_deleted=True)
    assert (held.status, held.status_message, held.deleted_at) == (LoggedModelStatus.READY, "done", db.clock.now())


def test_a_point_that_is_sent_again_counts_once(db: Database, models: LoggedModelService, home: ExperimentId) -> None:
    made = models.create_logged_model(home)
    first = point(made.id, 0.5)
    assert add_points(db, first, first, point(made.id, 0.5, dataset_name="a", dataset_digest="b")) == 2
    assert add_points(db, first) == 0
    assert [(each.value, each.dataset_name) for each in models.get_logged_model(made.id).metrics] == [
        (0.5, ""),
        (0.5, "a"),
    ]


def test_names_that_run_together_tell_two_datasets_apart(
    db: Database, models: LoggedModelService, home: ExperimentId
) -> None:
    made = models.create_logged_model(home)
    pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("1:a", "b")]
    add_points(db, *(point(made.id, 0.5, dataset_name=name, dataset_digest=digest) for name, digest in pairs))
    assert len(models.get_logged_model(made.id).metrics) == len(pairs)


def test_zero_has_no_sign_in_a_search_and_nan_no_size(
    db: Database, models: LoggedModelService, home: ExperimentId
) -> None:
    minus, nan = models.create_logged_model(home).id, models.create_logged_model(home).id
    add_points(db, point(minus, -0.0), point(nan, math.nan))

    def find(clause: str) -> set[str]:
        return {model.id for model in models.search_logged_models([home], f"metrics.auc {clause}").models}

    assert find("= 0") == find(">= 0") == find("<= 0") == {minus}
    assert find("< 0") == find("> 0") == set()
    assert find("!= 0") == {nan}


def test_the_latest_point_decides_an_order(db: Database, models: LoggedModelService, home: ExperimentId) -> None:
    one, two = models.create_logged_model(home).id, models.create_logged_model(home).id
    add_points(db, point(one, 0.9, at=1), point(one, 0.1, at=2), point(two, 0.5, at=1), point(two, 0.6, at=1, step=-1))
    found = models.search_logged_models([home], order_by=[ModelOrder(field="metrics.auc")]).models
    assert [model.id for model in found] == [one, two]


def test_a_deleted_experiment_takes_no_models(db: Database, models: LoggedModelService, home: ExperimentId) -> None:
    ExperimentService(db).delete_experiment(home)
    with pytest.raises(ConflictError, match="active"):
        models.create_logged_model(home)


@pytest.mark.parametrize("after", ["-1", "x", "1" * 20, "٣"])
def test_a_page_that_no_search_gave_out_is_refused(models: LoggedModelService, home: ExperimentId, after: str) -> None:
    with pytest.raises(InvalidInputError, match="no page"):
        models.search_logged_models([home], after=after)


@pytest.mark.parametrize(
    "filter_",
    [
        "",
        "source_run_id = 'r'",
        "model_id = 'm-1'",
        "name = 'a'",
        "name LIKE 'a%' AND status = 'READY'",
        "params.depth = '3'",
        "tags.stage != 'new' AND params.depth = '3'",
        "metrics.auc > 0.5",
        "metrics.auc != 0.5 AND metrics.loss < 1",
        "creation_timestamp > 5",
    ],
)
def test_no_search_reads_a_whole_table(
    db: Database, models: LoggedModelService, home: ExperimentId, filter_: str
) -> None:
    models.create_logged_model(home)
    order_by = [ModelOrder(field="metrics.auc", dataset_name="d"), ModelOrder(field="name")]
    with watch(db) as queries:
        models.search_logged_models([home], filter_)
        models.search_logged_models([home, ExperimentId(7)], filter_, [DatasetFilter(name="d")], order_by)
    assert len(queries) >= 2
    assert find_scans(db, queries) == []


def test_a_model_is_taken_over_as_often_as_one_likes(models: LoggedModelService, home: ExperimentId) -> None:
    taken = TakenLoggedModel(
        id="m-" + "e" * 32,
        experiment_id=home,
        name="tree",
        status=LoggedModelStatus.READY,
        created_at=datetime(2020, 1, 1, tzinfo=UTC),
        updated_at=datetime(2020, 1, 2, tzinfo=UTC),
        params={"depth": "3"},
        tags={"t": "1"},
    )
    measured = ModelPoint(model_id="", run_id="r", key="acc", step=1, at=5, value=7)
    for _ in range(2):
        models.take_over_logged_model(taken)
        models.take_over_logged_model_points(taken.id, [measured, structs.replace(measured, step=2)])
        models.settle_logged_model(taken.id, datetime(2020, 1, 3, tzinfo=UTC))
    made = models.get_logged_model(taken.id, with_deleted=True)
    assert (made.created_at, made.updated_at, made.deleted_at) == (
        taken.created_at,
        taken.updated_at,
        datetime(2020, 1, 3, tzinfo=UTC),
    )
    assert (made.params, made.tags, [each.step for each in made.metrics]) == ({"depth": "3"}, {"t": "1"}, [1, 2])
    models.take_over_logged_model(structs.replace(taken, tags={"u": "2"}))
    assert models.get_logged_model(taken.id, with_deleted=True).tags == {"u": "2"}
    with pytest.raises(ConflictError, match="depth"):
        models.take_over_logged_model(structs.replace(taken, params={"depth": "4"}))


@pytest.mark.parametrize(
    "bad",
    [{"step": 2**63}, {"at": 2**62}, {"value": -(2**64)}, {"key": ""}, {"run_id": "\0"}, {"dataset_name": "x" * 501}],
)
def test_a_measurement_that_cannot_be_kept_is_refused(
    models: LoggedModelService, home: ExperimentId, bad: dict[str, Any]
) -> None:
    model = models.create_logged_model(home, "tree")
    measured = ModelPoint(model_id=model.id, run_id="r", key="acc", step=1, at=5, value=7)
    with pytest.raises(InvalidInputError):
        models.take_over_logged_model_points(model.id, [structs.replace(measured, **bad)])
    assert models.get_logged_model(model.id).metrics == ()
