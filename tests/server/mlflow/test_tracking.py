"""Experiments, runs and metrics in MLflow's protocol: shapes, names of errors, and what is kept exactly."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.mlflow.world import World, open_world

INVALID, GONE, TAKEN = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
AT = 1_700_000_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("world")) as world:
        yield world


def new_run(world: World, **given: Any) -> str:
    answer = world.get("POST", "runs/create", {"experiment_id": "0", "start_time": AT, **given})
    run_id: str = answer["run"]["info"]["run_id"]
    return run_id


def log(world: World, run_id: str, **given: Any) -> None:
    world.get("POST", "runs/log-metric", {"run_id": run_id, "timestamp": AT, **given})


def history(world: World, run_id: str, key: str, **query: Any) -> list[tuple[Any, int, int]]:
    found = world.get("GET", "metrics/get-history", run_id=run_id, metric_key=key, **query).get("metrics", [])
    return [(point["value"], point["timestamp"], point["step"]) for point in found]


def test_the_default_experiment_is_there_from_the_start(world: World) -> None:
    held = world.get("GET", "experiments/get", experiment_id="0")["experiment"]
    assert held["name"] == "Default"
    assert held["lifecycle_stage"] == "active"
    assert held["artifact_location"] == "mlflow-artifacts:/0"


def test_an_experiment_is_made_renamed_deleted_and_restored(world: World) -> None:
    tags = [{"key": "team", "value": "shop"}]
    made = world.get("POST", "experiments/create", {"name": "story", "tags": tags})["experiment_id"]
    assert made.isdigit()
    assert world.refuse("POST", "experiments/create", {"name": "story"})[:2] == (400, TAKEN)
    world.get("POST", "experiments/update", {"experiment_id": made, "new_name": "tale"})
    run_id = new_run(world, experiment_id=made)
    world.get("POST", "experiments/delete", {"experiment_id": made})
    found = world.get("GET", "experiments/get-by-name", experiment_name="tale")["experiment"]
    assert (found["experiment_id"], found["lifecycle_stage"], found["tags"]) == (made, "deleted", tags)
    assert world.get("GET", "runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    assert world.refuse("POST", "experiments/create", {"name": "tale"})[:2] == (400, TAKEN)
    world.get("POST", "experiments/restore", {"experiment_id": made})
    assert world.get("GET", "runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "active"


def test_an_experiment_nobody_made_is_named_as_clients_expect(world: World) -> None:
    assert world.refuse("GET", "experiments/get-by-name", experiment_name="nowhere")[:2] == (404, GONE)
    assert world.refuse("GET", "experiments/get", experiment_id="999")[:2] == (404, GONE)
    assert world.refuse("GET", "experiments/get")[1] == INVALID


def test_a_run_has_both_ids_its_name_and_no_end(world: World) -> None:
    tags = [{"key": "mlflow.user", "value": "ada"}, {"key": "mlflow.runName", "value": "first"}]
    run = world.get("POST", "runs/create", {"experiment_id": "0", "start_time": AT, "tags": tags})["run"]
    info = run["info"]
    assert info["run_id"] == info["run_uuid"]
    assert len(info["run_id"]) == 32
    assert (info["run_name"], info["user_id"], info["status"]) == ("first", "ada", "RUNNING")
    assert info["start_time"] == AT
    assert "end_time" not in info
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/{info['run_id']}/artifacts"
    assert {"key": "mlflow.runName", "value": "first"} in run["data"]["tags"]
    assert "metrics" not in run["data"]


def test_the_name_of_a_run_and_its_tag_stay_in_step(world: World) -> None:
    run_id = new_run(world, run_name="one")
    world.get("POST", "runs/set-tag", {"run_id": run_id, "key": "mlflow.runName", "value": "two"})
    assert world.get("GET", "runs/get", run_id=run_id)["run"]["info"]["run_name"] == "two"
    world.get("POST", "runs/update", {"run_id": run_id, "run_name": "three"})
    run = world.get("GET", "runs/get", run_uuid=run_id)["run"]
    assert run["info"]["run_name"] == "three"
    assert run["data"]["tags"] == [{"key": "mlflow.runName", "value": "three"}]
    differing = {"experiment_id": "0", "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}
    assert "different values" in world.refuse("POST", "runs/create", differing)[2]


def test_a_run_ends_and_takes_what_comes_late(world: World) -> None:
    run_id = new_run(world)
    ended = world.get("POST", "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": AT + 5})
    assert (ended["run_info"]["status"], ended["run_info"]["end_time"]) == ("FINISHED", AT + 5)
    log(world, run_id, key="late", value=1.5)
    assert history(world, run_id, "late") == [(1.5, AT, 0)]


def test_nothing_is_written_to_a_deleted_run(world: World) -> None:
    run_id = new_run(world)
    world.get("POST", "runs/delete", {"run_id": run_id})
    status, name, told = world.refuse("POST", "runs/set-tag", {"run_id": run_id, "key": "a", "value": "b"})
    assert (status, name) == (400, INVALID)
    assert "must be in the 'active' state" in told
    world.get("POST", "runs/restore", {"run_id": run_id})
    log(world, run_id, key="a", value=1)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity"), (0.1, 0.1), (-0.0, -0.0), ("2.5", 2.5)],
)
def test_any_number_is_kept_exactly(world: World, sent: Any, kept: Any) -> None:
    run_id = new_run(world)
    log(world, run_id, key="loss", value=sent, step="3")
    assert history(world, run_id, "loss") == [(kept, AT, 3)]
    latest = world.get("GET", "runs/get", run_id=run_id)["run"]["data"]["metrics"]
    assert latest == [{"key": "loss", "value": kept, "timestamp": AT, "step": 3}]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400", '"inf"', "true", "null"])
def test_what_json_has_no_form_for_is_refused_and_not_stored(world: World, token: str) -> None:
    run_id = new_run(world)
    body = f'{{"run_id": "{run_id}", "key": "loss", "value": {token}, "timestamp": {AT}, "step": 1}}'
    headers = {"content-type": "application/json"}
    answer = world.client.post("/api/2.0/mlflow/runs/log-metric", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, INVALID)
    assert history(world, run_id, "loss") == []


@pytest.mark.parametrize("body", ["", "{", "[]", "3", '{"run_id": }', "\x00", '{"a": 1} {}'])
def test_a_body_that_cannot_be_read_is_refused(world: World, body: str) -> None:
    for path in ("runs/log-metric", "runs/log-batch", "experiments/create", "runs/update"):
        headers = {"content-type": "application/json"}
        answer = world.client.post(f"/api/2.0/mlflow/{path}", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (400, INVALID)


def test_the_latest_metric_is_the_greatest_step(world: World) -> None:
    run_id = new_run(world)
    log(world, run_id, key="loss", value=1, step=9)
    log(world, run_id, key="loss", value=2, step=3)
    log(world, run_id, key="loss", value=2, step=3)
    assert history(world, run_id, "loss") == [(2.0, AT, 3), (1.0, AT, 9)]
    assert world.get("GET", "runs/get", run_id=run_id)["run"]["data"]["metrics"][0]["value"] == 1.0


def test_a_history_is_read_in_pages(world: World) -> None:
    run_id = new_run(world)
    points = [{"key": "loss", "value": n, "timestamp": AT + n % 7, "step": n} for n in range(100)]
    world.get("POST", "runs/log-batch", {"run_id": run_id, "metrics": points})
    whole = history(world, run_id, "loss")
    pages: list[dict[str, Any]] = []
    token = ""
    while token or not pages:
        query = {"max_results": 30} | ({"page_token": token} if token else {})
        page = world.get("GET", "metrics/get-history", run_id=run_id, metric_key="loss", **query)
        pages += page["metrics"]
        token = page.get("next_page_token", "")
    assert [(point["value"], point["timestamp"], point["step"]) for point in pages] == whole
    assert whole == sorted(whole, key=lambda point: (point[1], point[2], point[0]))
    told = world.refuse("GET", "metrics/get-history", run_id=run_id, metric_key="loss", page_token="made up")
    assert told[:2] == (400, INVALID)


def test_a_parameter_never_changes(world: World) -> None:
    run_id = new_run(world)
    for _ in range(2):
        world.get("POST", "runs/log-parameter", {"run_id": run_id, "key": "rate", "value": "0.1"})
    refused = world.refuse("POST", "runs/log-parameter", {"run_id": run_id, "key": "rate", "value": "0.2"})
    assert refused[:2] == (400, INVALID)
    assert "Changing param values is not allowed" in refused[2]


def test_one_batch_is_one_transaction(world: World) -> None:
    run_id = new_run(world)
    world.get("POST", "runs/log-parameter", {"run_id": run_id, "key": "rate", "value": "0.1"})
    batch = {
        "run_id": run_id,
        "metrics": [{"key": "loss", "value": 1.0, "timestamp": AT, "step": 0}],
        "params": [{"key": "depth", "value": "3"}, {"key": "rate", "value": "0.2"}],
        "tags": [{"key": "stage", "value": "x"}],
    }
    assert world.refuse("POST", "runs/log-batch", batch)[1] == INVALID
    data = world.get("GET", "runs/get", run_id=run_id)["run"]["data"]
    assert [pair["key"] for pair in data["params"]] == ["rate"]
    assert "metrics" not in data
    assert [pair["key"] for pair in data["tags"]] == ["mlflow.runName"]


def test_a_long_value_is_kept_whole_or_refused(world: World) -> None:
    run_id = new_run(world)
    for size in (6_001, 100_000):
        value = "ü" * size
        world.get("POST", "runs/log-parameter", {"run_id": run_id, "key": f"p{size}", "value": value})
        params = world.get("GET", "runs/get", run_id=run_id)["run"]["data"]["params"]
        assert {"key": f"p{size}", "value": value} in params
    too_long = {"run_id": run_id, "key": "longer", "value": "x" * 100_001}
    assert world.refuse("POST", "runs/log-parameter", too_long)[1] == INVALID


@pytest.mark.parametrize("key", ["a//b", "/a", "../a", "a/..", ".", "a\n", "", "x" * 251, "ключ?", "a\\b"])
def test_a_key_that_is_no_plain_path_is_refused(world: World, key: str) -> None:
    run_id = new_run(world)
    for path in ("runs/log-metric", "runs/log-parameter", "runs/set-tag"):
        body = {"run_id": run_id, "key": key, "value": 1 if "metric" in path else "x", "timestamp": AT}
        assert world.refuse("POST", path, body)[:2] == (400, INVALID)


def test_what_is_missing_is_named(world: World) -> None:
    run_id = new_run(world)
    told = world.refuse("POST", "runs/log-metric", {"run_id": run_id, "value": 1, "timestamp": AT})[2]
    assert "Missing value for required parameter 'key'" in told
    batch = {"run_id": run_id, "metrics": [{"key": "a", "value": "x", "timestamp": AT}]}
    assert "Invalid value \"x\" for parameter 'metrics[0].value'" in world.refuse("POST", "runs/log-batch", batch)[2]
    assert "'run_id'" in world.refuse("POST", "runs/delete", {})[2]


def test_too_much_at_once_is_refused(world: World) -> None:
    run_id = new_run(world)
    points = [{"key": "a", "value": 1, "timestamp": AT, "step": n} for n in range(1_001)]
    assert "at most 1000 metrics" in world.refuse("POST", "runs/log-batch", {"run_id": run_id, "metrics": points})[2]
    params = [{"key": f"p{n}", "value": "x"} for n in range(101)]
    assert "at most 100 params" in world.refuse("POST", "runs/log-batch", {"run_id": run_id, "params": params})[2]


def test_histories_of_several_runs_are_thinned_out_for_a_chart(world: World) -> None:
    ids = [new_run(world) for _ in range(2)]
    for run_id in ids:
        points = [{"key": "loss", "value": n % 17, "timestamp": AT + n, "step": n} for n in range(1_000)]
        world.get("POST", "runs/log-batch", {"run_id": run_id, "metrics": points})
    path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
    found = world.get("GET", path, run_ids=ids, metric_key="loss", max_results=100)["metrics"]
    for run_id in ids:
        of_run = [point for point in found if point["run_id"] == run_id]
        assert 50 <= len(of_run) <= 110
        assert (of_run[0]["step"], of_run[-1]["step"]) == (0, 999)
        assert {point["value"] for point in of_run} >= {0.0, 16.0}
    within = world.get("GET", path, run_ids=ids[:1], metric_key="loss", start_step=10, end_step=12)["metrics"]
    assert [point["step"] for point in within] == [10, 11, 12]
    assert world.refuse("GET", path, metric_key="loss")[1] == INVALID


def test_an_operation_that_is_not_there_is_said_so(world: World) -> None:
    for path in ("/api/2.0/mlflow/nothing", "/api/3.0/mlflow/traces/nothing/here", "/ajax-api/2.0/preview/mlflow/x"):
        assert world.refuse("GET", path)[:2] == (404, "ENDPOINT_NOT_FOUND")


def test_both_prefixes_answer_and_numbers_are_numbers(world: World) -> None:
    run_id = new_run(world)
    answer = world.ask("GET", "/ajax-api/2.0/mlflow/runs/get", run_id=run_id)
    assert isinstance(json.loads(answer.text)["run"]["info"]["start_time"], int)
    assert world.ask("GET", "/version").text == "3.17.2"
    assert world.get("GET", "/api/3.0/mlflow/server-info")["artifact_serving_enabled"] is True


def test_a_relative_location_begins_where_the_server_was_started(world: World) -> None:
    made = world.get("POST", "experiments/create", {"name": "near", "artifact_location": "some/place"})
    held = world.get("GET", "experiments/get", **made)["experiment"]
    assert held["artifact_location"] == str(Path.cwd() / "some" / "place")
    run = world.get("POST", "runs/create", made)["run"]["info"]
    assert run["artifact_uri"] == f"{held['artifact_location']}/{run['run_id']}/artifacts"


@pytest.mark.parametrize(
    "location", ["/a/b", "s3://bucket/a", "mlflow-artifacts:/a", "file:///a", "dbfs:/a", "\\\\host\\a"]
)
def test_any_other_location_stays_as_it_is(world: World, location: str) -> None:
    made = world.get("POST", "experiments/create", {"name": f"at {location}", "artifact_location": location})
    assert world.get("GET", "experiments/get", **made)["experiment"]["artifact_location"] == location


def test_what_is_missing_is_told_before_what_is_wrong(world: World) -> None:
    told = world.refuse("POST", "runs/log-inputs", {"datasets": ["{}"]})[2]
    assert told.startswith("Missing value for required parameter 'run_id'")
    told = world.refuse("POST", "runs/log-inputs", {"run_id": "r", "datasets": ["{}"]})[2]
    assert told.startswith("Invalid value \"{}\" for parameter 'datasets[0]' supplied")


def test_an_experiment_that_is_not_there_is_named_as_it_was_asked_for(world: World) -> None:
    for given in ("1337", "-1337"):
        told = world.refuse("GET", "experiments/get", experiment_id=given)
        assert told == (404, "RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={given} exists")


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("runs/create", {"experiment_id": "abc"}),
        ("experiments/delete", {"experiment_id": "abc"}),
        ("runs/search", {"experiment_ids": ["0", "abc"]}),
    ],
)
def test_what_is_no_number_is_no_experiment_id(world: World, path: str, given: dict[str, Any]) -> None:
    status, code, told = world.refuse("POST", path, given)
    assert (status, code) == (400, INVALID) and told.startswith("Invalid experiment ID 'abc'")
