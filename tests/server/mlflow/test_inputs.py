"""Datasets and models as inputs and outputs of runs over MLflow's protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.mlflow.world import World, open_world

DATASET = {"name": "sales", "digest": "d1", "source_type": "local", "source": "x.csv", "schema": "{}", "profile": "{}"}
CONTEXT = {"key": "mlflow.data.context", "value": "training"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


@pytest.fixture
def run_id(world: World) -> str:
    return world.services.tracking.create_run("Default").id


def read_inputs(world: World, run_id: str) -> Any:
    return world.get("GET", "runs/get", run_id=run_id)["run"]["inputs"]


def read_outputs(world: World, run_id: str) -> Any:
    return world.get("GET", "runs/get", run_id=run_id)["run"]["outputs"]


def test_a_run_without_inputs_and_outputs_has_empty_ones(world: World, run_id: str) -> None:
    assert world.get("POST", "runs/log-inputs", {"run_id": run_id}) == {}
    assert read_inputs(world, run_id) == {}
    assert read_outputs(world, run_id) == {}


def test_a_dataset_stands_among_the_inputs_once(world: World, run_id: str) -> None:
    given = {"dataset": DATASET, "tags": [{"key": "k", "value": "v"}, CONTEXT]}
    for _ in range(2):
        assert world.get("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [given]}) == {}
    other = {"dataset": DATASET | {"source": "y.csv"}, "tags": []}
    assert world.get("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [other]}) == {}
    assert read_inputs(world, run_id) == {"dataset_inputs": [given]}


def test_models_are_inputs_and_outputs(world: World, run_id: str) -> None:
    models = [{"model_id": "m-2"}, {"model_id": "m-1"}]
    for _ in range(2):
        assert world.get("POST", "runs/log-inputs", {"run_id": run_id, "models": models}) == {}
        outputs = [{"model_id": "m-1", "step": 3}, {"model_id": "m-1", "step": "4"}, {"model_id": "m-2"}]
        assert world.get("POST", "runs/outputs", {"run_id": run_id, "models": outputs}) == {}
    assert read_inputs(world, run_id) == {"model_inputs": [{"model_id": "m-1"}, {"model_id": "m-2"}]}
    assert read_outputs(world, run_id) == {
        "model_outputs": [
            {"model_id": "m-2", "step": 0},
            {"model_id": "m-1", "step": 3},
            {"model_id": "m-1", "step": 4},
        ]
    }


def test_datasets_of_an_experiment_are_listed_once_for_each_context(world: World) -> None:
    for context in ("training", "training", "eval", ""):
        run = world.services.tracking.create_run("Default")
        tags = [CONTEXT | {"value": context}] if context else []
        body = {"run_id": run.id, "datasets": [{"dataset": DATASET, "tags": tags}]}
        world.get("POST", "runs/log-inputs", body)
    path = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    summary = {"experiment_id": "0", "name": "sales", "digest": "d1"}
    assert world.get("POST", path, {"experiment_ids": ["0"]}) == {
        "dataset_summaries": [summary, summary | {"context": "eval"}, summary | {"context": "training"}]
    }
    assert world.get("POST", path, {"experiment_ids": ["77"]}) == {}
    assert world.refuse("POST", "experiments/search-datasets", {"experiment_ids": ["0"]})[1] == "ENDPOINT_NOT_FOUND"
    assert "at least one" in world.refuse("POST", path, {})[2]
    assert "more than 20" in world.refuse("POST", path, {"experiment_ids": ["0"] * 21})[2]
    assert "'experiment_ids'" in world.refuse("POST", path, {"experiment_ids": ["/"]})[2]


def test_a_large_profile_is_kept_whole(world: World, run_id: str) -> None:
    dataset = DATASET | {"profile": "p" * 16_777_215, "schema": "s" * 1_048_575}
    world.get("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset}]})
    assert read_inputs(world, run_id)["dataset_inputs"][0]["dataset"] == dataset


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "n" * 501}, "'name' exceeds the maximum length of 500 characters"),
        ({"digest": "x" * 37}, "'digest' exceeds the maximum length of 36 characters"),
        ({"source": "x" * 65_536}, "'source' exceeds the maximum length of 65535 characters"),
        ({"schema": "x" * 1_048_576}, "'schema' exceeds the maximum length"),
        ({"name": ""}, "Missing value for required parameter 'datasets[0].dataset.name'"),
        ({"digest": None}, "datasets[0].dataset.digest"),
    ],
)
def test_a_dataset_that_cannot_be_kept_is_refused_by_name(
    world: World, run_id: str, change: dict[str, Any], expected: str
) -> None:
    body = {"run_id": run_id, "datasets": [{"dataset": DATASET | change}]}
    status, name, message = world.refuse("POST", "runs/log-inputs", body)
    assert (status, name) == (400, "INVALID_PARAMETER_VALUE")
    assert expected in message
    assert read_inputs(world, run_id) == {}


@pytest.mark.parametrize("path", ["runs/log-inputs", "runs/outputs"])
def test_a_run_has_to_be_there(world: World, run_id: str, path: str) -> None:
    models = [{"model_id": "m-1"}]
    assert "'run_id'" in world.refuse("POST", path, {"models": models})[2]
    assert world.refuse("POST", path, {"run_id": "b" * 32, "models": models})[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    world.services.tracking.delete_run(run_id)
    status, name, message = world.refuse("POST", path, {"run_id": run_id, "models": models})
    assert (status, name) == (400, "INVALID_PARAMETER_VALUE")
    assert "deleted" in message


def test_outputs_have_to_be_named(world: World, run_id: str) -> None:
    assert "'models'" in world.refuse("POST", "runs/outputs", {"run_id": run_id})[2]
    assert world.get("POST", "runs/outputs", {"run_id": run_id, "models": []}) == {}
