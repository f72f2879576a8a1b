"""Logged models over MLflow's protocol, in the shapes that its own server gives."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.ids import RunId
from server.mlflow.world import World, open_world

DEFAULT = "0"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


def make(world: World, **given: Any) -> dict[str, Any]:
    made: dict[str, Any] = world.get("POST", "logged-models", {"experiment_id": DEFAULT, **given})["model"]
    return made


def find(world: World, **given: Any) -> list[str]:
    found = world.get("POST", "logged-models/search", {"experiment_ids": [DEFAULT], **given})
    return [model["info"]["name"] for model in found.get("models", [])]


def measure(world: World, model_id: str, value: float | str, *, at: int = 0, step: int = 0, **dataset: str) -> None:
    run = world.services.tracking.create_run("Default", run_id=RunId("a" * 32))
    point = {"key": "auc", "value": value, "timestamp": at, "step": step, "model_id": model_id, **dataset}
    world.get("POST", "runs/log-metric", {"run_id": run.id, **point})
    world.get("POST", "runs/log-batch", {"run_id": run.id, "metrics": [point]})


def test_a_model_is_answered_as_mlflow_answers_it(world: World) -> None:
    made = make(
        world,
        name="nice",
        model_type="classifier",
        source_run_id="b" * 32,
        params=[{"key": "depth", "value": "3"}],
        tags=[{"key": "team", "value": "risk"}],
    )
    model_id = made["info"]["model_id"]
    assert model_id.startswith("m-") and len(model_id) == 34
    assert made == {
        "info": {
            "model_id": model_id,
            "experiment_id": "0",
            "name": "nice",
            "creation_timestamp_ms": 1767225600000,
            "last_updated_timestamp_ms": 1767225600000,
            "artifact_uri": f"mlflow-artifacts:/0/models/{model_id}/artifacts",
            "status": "LOGGED_MODEL_PENDING",
            "model_type": "classifier",
            "source_run_id": "b" * 32,
            "tags": [{"key": "team", "value": "risk"}],
        },
        "data": {"params": [{"key": "depth", "value": "3"}]},
    }
    assert world.get("GET", f"logged-models/{model_id}") == {"model": made}


def test_a_model_without_a_name_is_given_one(world: World) -> None:
    assert make(world)["info"]["name"]
    assert make(world)["data"] == {}


@pytest.mark.parametrize("status", ["LOGGED_MODEL_READY", 2])
def test_the_upload_ends_as_the_client_says(world: World, status: str | int) -> None:
    model_id = make(world)["info"]["model_id"]
    world.clock.advance(seconds=1)
    told = world.get("PATCH", f"logged-models/{model_id}", {"model_id": model_id, "status": status})["model"]["info"]
    assert told["status"] == "LOGGED_MODEL_READY"
    assert told["last_updated_timestamp_ms"] - told["creation_timestamp_ms"] == 1000


def test_tags_are_set_replaced_and_forgotten(world: World) -> None:
    model_id = make(world)["info"]["model_id"]
    given = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}, {"key": "mlflow.note/x y", "value": ""}]
    assert world.get("PATCH", f"logged-models/{model_id}/tags", {"tags": given}) == {}
    held = world.get("GET", f"logged-models/{model_id}")["model"]["info"]["tags"]
    assert held == [{"key": "a", "value": "2"}, {"key": "mlflow.note/x y", "value": ""}]
    assert world.get("DELETE", f"logged-models/{model_id}/tags/mlflow.note%2Fx%20y") == {}
    status, name, _ = world.refuse("DELETE", f"logged-models/{model_id}/tags/mlflow.note%2Fx%20y")
    assert (status, name) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_params_are_added_and_never_changed(world: World) -> None:
    model_id = make(world, params=[{"key": "a", "value": "1"}])["info"]["model_id"]
    path = f"logged-models/{model_id}/params"
    assert world.get("POST", path, {"model_id": model_id, "params": [{"key": "b", "value": "2"}]}) == {}
    assert world.get("POST", path, {"model_id": model_id, "params": [{"key": "b", "value": "2"}]}) == {}
    status, name, _ = world.refuse("POST", path, {"params": [{"key": "c", "value": "3"}, {"key": "a", "value": "9"}]})
    assert (status, name) == (400, "INVALID_PARAMETER_VALUE")
    held = world.get("GET", f"logged-models/{model_id}")["model"]["data"]["params"]
    assert held == [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]


def test_points_stand_with_their_model_exactly(world: World) -> None:
    model_id = make(world)["info"]["model_id"]
    measure(world, model_id, "NaN", at=7, step=2, dataset_name="d", dataset_digest="dd")
    measure(world, model_id, "Infinity", at=8, step=3)
    measure(world, model_id, "Infinity", at=8, step=3)
    data = world.get("GET", f"logged-models/{model_id}")["model"]["data"]
    told = {"key": "auc", "model_id": model_id, "run_id": "a" * 32}
    assert data["metrics"] == [
        told | {"value": "NaN", "timestamp": 7, "step": 2, "dataset_name": "d", "dataset_digest": "dd"},
        told | {"value": "Infinity", "timestamp": 8, "step": 3},
    ]


def test_a_point_of_a_model_that_is_not_there_is_refused_with_all_that_came_along(world: World) -> None:
    run = world.services.tracking.create_run("Default")
    point = {"key": "auc", "value": 1, "timestamp": 1}
    metrics = [point, point | {"key": "loss", "model_id": "m-none"}]
    status, name, message = world.refuse("POST", "runs/log-batch", {"run_id": run.id, "metrics": metrics})
    assert (status, name) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "m-none" in message
    assert world.services.tracking.get_run(run.id).metrics == {}


def test_a_deleted_model_is_found_only_by_those_who_ask_for_deleted_ones(world: World) -> None:
    model_id = make(world, name="old")["info"]["model_id"]
    assert world.get("DELETE", f"logged-models/{model_id}", {"model_id": model_id}) == {}
    assert world.get("DELETE", f"logged-models/{model_id}") == {}
    assert world.refuse("GET", f"logged-models/{model_id}")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert world.get("GET", f"logged-models/{model_id}", allow_deleted="true")["model"]["info"]["name"] == "old"
    assert find(world) == []


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three models that stay as they are: a measured twice and on a dataset, b measured NaN, c not measured."""
    with open_world(tmp_path_factory.mktemp("searched")) as world:
        _make_three(world)
        yield world


def _make_three(world: World) -> None:
    ids = []
    for name, stage in (("a", "new"), ("b", "old"), ("c", "new")):
        ids.append(
            make(
                world,
                name=name,
                source_run_id=name * 32,
                tags=[{"key": "stage", "value": stage}],
                params=[{"key": "depth", "value": name}],
            )["info"]["model_id"]
        )
        world.clock.advance(seconds=1)
    measure(world, ids[0], 0.9, at=1, dataset_name="train", dataset_digest="t1")
    measure(world, ids[0], 0.4, at=2)
    measure(world, ids[1], "NaN", at=1, dataset_name="train", dataset_digest="t2")
    world.get("PATCH", f"logged-models/{ids[2]}", {"status": "LOGGED_MODEL_READY"})


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("", "cba"),
        (f"source_run_id = '{'b' * 32}'", "b"),
        ("attributes.name = 'a'", "a"),
        ("name LIKE 'A%'", ""),
        ("name ILIKE 'A%'", "a"),
        ("name IN ('a', 'c')", "ca"),
        ("name NOT IN ('a', 'c')", "b"),
        ("tags.stage = 'new'", "ca"),
        ("tags.stage != 'new'", "b"),
        ("params.`depth` = 'c' AND tags.stage = 'new'", "c"),
        ("metrics.auc > 0.5", "a"),
        ("metrics.auc <= 0.5", "a"),
        ("metrics.auc != 0.9", "ba"),
        ("metrics.none > 0", ""),
        ("status = 'READY'", "c"),
        ("status = 'LOGGED_MODEL_PENDING'", "ba"),
        ("creation_timestamp > 1767225600000", "cb"),
        ("creation_time = 1767225600000", "a"),
        ("last_updated_timestamp_ms >= 1767225600001", "cb"),
    ],
)
def test_filters_find_what_they_say(searched: World, filter_: str, names: str) -> None:
    assert find(searched, filter=filter_) == list(names)


@pytest.mark.parametrize(
    ("datasets", "filter_", "names"),
    [
        ([{"dataset_name": "train"}], "metrics.auc > 0", "a"),
        ([{"dataset_name": "train"}], "metrics.auc < 0.5", ""),
        ([{"dataset_name": "train"}], "", "ba"),
        ([{"dataset_name": "train", "dataset_digest": "t2"}], "", "b"),
        ([{"dataset_name": "test"}, {"dataset_name": "train", "dataset_digest": "t1"}], "", "a"),
        ([{"dataset_name": "test"}], "", ""),
    ],
)
def test_datasets_narrow_what_counts(searched: World, datasets: list[dict[str, str]], filter_: str, names: str) -> None:
    assert find(searched, filter=filter_, datasets=datasets) == list(names)


@pytest.mark.parametrize(
    ("order_by", "names"),
    [
        ([{"field_name": "metrics.auc"}], "abc"),
        ([{"field_name": "metrics.auc", "ascending": False}], "abc"),
        ([{"field_name": "name"}], "abc"),
        ([{"field_name": "attributes.name", "ascending": False}], "cba"),
        ([{"field_name": "creation_timestamp"}], "abc"),
        ([{"field_name": "metrics.auc", "dataset_name": "train", "dataset_digest": "t2"}], "bca"),
    ],
)
def test_orders_hold(searched: World, order_by: list[dict[str, Any]], names: str) -> None:
    assert find(searched, order_by=order_by) == list(names)


def test_pages_lead_on_until_the_last(searched: World) -> None:
    body: dict[str, Any] = {"experiment_ids": [DEFAULT], "max_results": 2}
    first = searched.get("POST", "logged-models/search", body)
    assert [model["info"]["name"] for model in first["models"]] == ["c", "b"]
    last = searched.get("POST", "logged-models/search", body | {"page_token": first["next_page_token"]})
    assert [model["info"]["name"] for model in last["models"]] == ["a"]
    assert set(last) == {"models"}


def test_a_search_that_finds_nothing_is_an_empty_object(world: World) -> None:
    assert world.get("POST", "logged-models/search", {"experiment_ids": ["999"]}) == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "logged-models", {"name": "x"}, (400, "Missing value for required parameter 'experiment_id'")),
        ("POST", "logged-models", {"experiment_id": "a b"}, (400, "'experiment_id'")),
        ("POST", "logged-models", {"experiment_id": "9" * 30}, (404, "No Experiment with id")),
        ("POST", "logged-models", {"experiment_id": "999"}, (404, "No Experiment with id=999 exists")),
        ("POST", "logged-models", {"experiment_id": "0", "name": "a/b"}, (400, "Invalid model name ('a/b')")),
        ("POST", "logged-models", {"experiment_id": "0", "name": "a" * 501}, (400, "Invalid model name")),
        ("POST", "logged-models", {"experiment_id": "0", "tags": [{"value": "x"}]}, (400, "tags[0].key")),
        ("POST", "logged-models", {"experiment_id": "0", "params": [{"key": "k" * 251}]}, (400, "cannot be used")),
        ("GET", "logged-models/m-no", None, (404, "Logged model with ID 'm-no' not found")),
        ("DELETE", "logged-models/m-no", None, (404, "not found")),
        ("PATCH", "logged-models/m-no", {"status": "LOGGED_MODEL_READY"}, (404, "not found")),
        ("PATCH", "logged-models/m-no", {"status": "DONE"}, (400, "'status'")),
        ("PATCH", "logged-models/m-no", {}, (400, "Missing value for required parameter 'status'")),
        ("POST", "logged-models/search", {}, (400, "Missing value for required parameter 'experiment_ids'")),
        ("POST", "logged-models/search", {"experiment_ids": ["/"]}, (400, "'experiment_ids'")),
        ("POST", "logged-models/search", {"experiment_ids": ["0"], "filter": "bogus = '1'"}, (400, "bogus")),
        (
            "POST",
            "logged-models/search",
            {"experiment_ids": ["0"], "filter": "name > 'a'"},
            (400, "cannot be compared"),
        ),
        ("POST", "logged-models/search", {"experiment_ids": ["0"], "max_results": -1}, (400, "max_results")),
        ("POST", "logged-models/search", {"experiment_ids": ["0"], "page_token": "x"}, (400, "no page")),
        ("POST", "logged-models/search", {"experiment_ids": ["0"], "order_by": [{}]}, (400, "field_name")),
        (
            "POST",
            "logged-models/search",
            {"experiment_ids": ["0"], "order_by": [{"field_name": "params.a"}]},
            (400, "Invalid order by field name: params.a"),
        ),
        (
            "POST",
            "logged-models/search",
            {"experiment_ids": ["0"], "datasets": [{"dataset_digest": "d"}]},
            (400, "datasets[0].dataset_name"),
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    untouched: World, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    status, _, message = untouched.refuse(method, path, body)
    assert status == expected[0]
    assert expected[1] in message


def test_a_large_number_in_a_filter_is_only_a_number(searched: World) -> None:
    assert find(searched, filter=f"metrics.auc < 1{'0' * 300}") == ["a"]
    assert find(searched, filter=f"creation_timestamp < 1{'0' * 300}") == ["c", "b", "a"]


def test_old_clients_keep_what_they_logged_among_the_tags(world: World) -> None:
    run = world.services.tracking.create_run("Default")
    entry = {"artifact_path": "m", "flavors": {"f": {}}, "utc_time_created": "now", "run_id": run.id, "signature": {}}
    for _ in range(2):
        assert world.get("POST", "runs/log-model", {"run_id": run.id, "model_json": json.dumps(entry)}) == {}
    kept = json.loads(world.services.tracking.get_run(run.id).tags["mlflow.log-model.history"])
    assert [each["artifact_path"] for each in kept] == ["m", "m"]
    assert set(kept[0]) == {"run_id", "artifact_path", "utc_time_created", "model_uuid", "flavors"}


@pytest.mark.parametrize(
    ("model_json", "expected"),
    [("{", "not a valid JSON"), ("{}", "missing mandatory fields: artifact_path"), ("[]", "a JSON object")],
)
def test_a_model_that_is_no_model_is_not_kept(world: World, model_json: str, expected: str) -> None:
    run = world.services.tracking.create_run("Default")
    status, _, message = world.refuse("POST", "runs/log-model", {"run_id": run.id, "model_json": model_json})
    assert status == 400
    assert expected in message
