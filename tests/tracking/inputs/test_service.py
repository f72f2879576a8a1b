"""The verbs of what runs read and made, on a real database."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import InvalidInputError
from penstock.core.events import Edge
from penstock.core.filters import Comparator
from penstock.core.ids import Ref, RunId
from penstock.storage.database import Database
from penstock.storage.records import fetch
from penstock.tracking.comparing import Value
from penstock.tracking.inputs.service import InputService
from penstock.tracking.inputs.store import InputStore
from penstock.tracking.inputs.types import DatasetInput, LoggedDataset, ModelOutput
from penstock.tracking.service import TrackingService
from penstock.tracking.tables import runs
from tracking.plans import find_scans, watch


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path, ManualClock())
    yield db
    db.close()


@pytest.fixture
def inputs(db: Database) -> InputService:
    return InputService(db)


@pytest.fixture
def tracking(db: Database) -> TrackingService:
    return TrackingService(db)


def dataset(name: str, digest: str = "1", context: str = "", **more: str) -> DatasetInput:
    tags = {"mlflow.data.context": context} if context else {}
    return DatasetInput(dataset=LoggedDataset(name=name, digest=digest, **more), tags=tags)


def test_many_runs_are_read_at_once(inputs: InputService, tracking: TrackingService, db: Database) -> None:
    ids = [tracking.create_run("churn").id for _ in range(3)]
    inputs.log_inputs(ids[0], [dataset("a", context="train"), dataset("b")], ["m-2", "m-1", "m-2"])
    inputs.log_inputs(ids[1], [dataset("a")])
    inputs.log_outputs(ids[1], [ModelOutput(model_id="m-9", step=2), ModelOutput(model_id="m-8")])
    with watch(db) as queries:
        read = db.read(inputs.inputs_of, ids)
        made = db.read(inputs.outputs_of, ids)
    assert [[each.dataset.name for each in read[run_id].datasets] for run_id in ids] == [["a", "b"], ["a"], []]
    assert [read[run_id].models for run_id in ids] == [("m-1", "m-2"), (), ()]
    assert [[each.model_id for each in made[run_id]] for run_id in ids] == [[], ["m-8", "m-9"], []]
    assert read[ids[0]].datasets[0].tags == {"mlflow.data.context": "train"}
    assert len(queries) == 3
    assert find_scans(db, queries) == []


def test_an_ended_run_takes_inputs(inputs: InputService, tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    tracking.end_run(run.id)
    inputs.log_inputs(run.id, [dataset("a")])
    assert inputs.get_inputs(run.id).datasets == (dataset("a"),)


@pytest.mark.parametrize("source", ["dataset-version:events/2", json.dumps({"uri": "dataset-version:events/2"})])
def test_a_version_of_this_project_joins_the_lineage(
    inputs: InputService, tracking: TrackingService, edges: list[Edge], source: str
) -> None:
    run = tracking.create_run("churn")
    inputs.log_inputs(run.id, [dataset("events", source_type="penstock", source=source)])
    version = Ref("dataset-version", "events/2")
    assert Edge(version, run.ref, "read") in edges
    assert tracking.get_run(run.id).inputs == (version,)


@pytest.mark.parametrize(
    ("source_type", "source"),
    [
        ("local", "dataset-version:events/2"),
        ("penstock", "events/2"),
        ("penstock", "run:x/2"),
        ("penstock", "dataset-version:events"),
        ("penstock", "[1]"),
        ("penstock", '{"uri": 1}'),
        ("penstock", "dataset-version:" + "x" * 300 + "/1"),
    ],
)
def test_any_other_source_is_only_a_text(
    inputs: InputService, tracking: TrackingService, edges: list[Edge], source_type: str, source: str
) -> None:
    run = tracking.create_run("churn")
    inputs.log_inputs(run.id, [dataset("events", source_type=source_type, source=source)])
    assert edges == []


def test_models_join_the_lineage(inputs: InputService, tracking: TrackingService, edges: list[Edge]) -> None:
    run = tracking.create_run("churn")
    inputs.log_inputs(run.id, models=["m-1"])
    inputs.log_outputs(run.id, [ModelOutput(model_id="m-2")])
    assert edges == [
        Edge(Ref("logged-model", "m-1"), run.ref, "read"),
        Edge(run.ref, Ref("logged-model", "m-2"), "logged"),
    ]


@pytest.mark.parametrize(
    ("comparator", "field", "value", "expected"),
    [
        (Comparator.EQUAL, "name", "a", "01"),
        (Comparator.NOT_EQUAL, "name", "a", "02"),
        (Comparator.LIKE, "name", "A%", ""),
        (Comparator.ILIKE, "name", "A%", "01"),
        (Comparator.IN, "digest", ("1", "2"), "012"),
        (Comparator.NOT_IN, "digest", ("1",), "2"),
        (Comparator.EQUAL, "context", "train", "0"),
        (Comparator.NOT_EQUAL, "context", "train", "2"),
        (Comparator.LIKE, "context", "%a%", "02"),
    ],
)
def test_runs_are_found_by_their_datasets(
    db: Database,
    inputs: InputService,
    tracking: TrackingService,
    comparator: Comparator,
    field: str,
    value: Value,
    expected: str,
) -> None:
    ids: list[RunId] = [tracking.create_run("churn").id for _ in range(4)]
    inputs.log_inputs(ids[0], [dataset("a", context="train"), dataset("b")])
    inputs.log_inputs(ids[1], [dataset("a")])
    inputs.log_inputs(ids[2], [dataset("c", "2", context="eval")])
    fits = InputStore(db).runs_with_dataset(comparator, field, value)
    with db.snapshot() as tx:
        found = set(tx.execute(select(runs.c.id).where(runs.c.number.in_(fits))).scalars())
        text, values = InputStore(db).runs_with_dataset_text(comparator, field, value)
        numbers = {row[0] for row in fetch(tx.connection, text, values)}
        found_again = set(tx.execute(select(runs.c.id).where(runs.c.number.in_(numbers))).scalars())
    assert found == found_again == {ids[int(place)] for place in expected}


def test_a_search_for_datasets_reads_no_whole_table(
    db: Database, inputs: InputService, tracking: TrackingService
) -> None:
    run = tracking.create_run("churn")
    inputs.log_inputs(run.id, [dataset("a", context="train")])
    store = InputStore(db)
    with watch(db) as queries, db.snapshot() as tx:
        for field in ("name", "digest", "context"):
            fits = store.runs_with_dataset(Comparator.EQUAL, field, "a")
            tx.execute(select(runs.c.id).where(runs.c.experiment_id == 1, runs.c.number.in_(fits))).all()
    inputs.list_logged_datasets([run.experiment_id])
    assert find_scans(db, queries) == []


def test_too_many_at_once_are_refused(inputs: InputService, tracking: TrackingService) -> None:
    run = tracking.create_run("churn")
    with pytest.raises(InvalidInputError, match="1000 at a time"):
        inputs.log_inputs(run.id, models=[f"m-{number}" for number in range(1001)])
