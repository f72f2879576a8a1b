"""Runs, their params and their tags in the bare protocol."""

import re
from typing import Any

import pytest
from rest import Api


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in run["data"].get("tags", [])}


def params_of(run: dict[str, Any]) -> dict[str, str]:
    return {param["key"]: param.get("value", "") for param in run["data"].get("params", [])}


def get_run(api: Api, run: str) -> dict[str, Any]:
    told: dict[str, Any] = api.get("runs/get", run_id=run)["run"]
    return told


def test_a_new_run_is_told_whole(api: Api, experiment: str) -> None:
    made = api.post(
        "runs/create",
        experiment_id=experiment,
        start_time=456,
        run_name="first",
        user_id="ann",
        tags=[{"key": "my", "value": "tag"}],
    )["run"]
    run = made["info"]["run_id"]
    assert re.fullmatch("[0-9a-f]{32}", run)
    assert made["info"] == {
        "run_id": run,
        "run_uuid": run,
        "run_name": "first",
        "experiment_id": experiment,
        "user_id": "ann",
        "status": "RUNNING",
        "start_time": 456,
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run}/artifacts",
        "lifecycle_stage": "active",
    }
    assert tags_of(made) == {"my": "tag", "mlflow.runName": "first"}
    told = get_run(api, run)
    assert told["info"] == made["info"] and told["data"] == made["data"]
    assert told["inputs"] == {} and told["outputs"] == {}


def test_a_run_without_data_says_nothing_of_it(api: Api, run: str) -> None:
    told = get_run(api, run)
    assert set(told["data"]) == {"tags"}  # its name
    assert "end_time" not in told["info"]


def test_a_run_without_a_name_is_given_one(api: Api, experiment: str) -> None:
    made = api.post("runs/create", experiment_id=experiment)["run"]
    name = made["info"]["run_name"]
    assert name
    assert tags_of(made) == {"mlflow.runName": name}


def test_a_run_may_be_named_by_its_tag(api: Api, experiment: str) -> None:
    tags = [{"key": "mlflow.runName", "value": "by tag"}]
    made = api.post("runs/create", experiment_id=experiment, tags=tags)["run"]
    assert made["info"]["run_name"] == "by tag"


def test_name_and_tag_must_not_differ(api: Api, experiment: str) -> None:
    fields = {"experiment_id": experiment, "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}
    api.refused("POST", "runs/create", "INVALID_PARAMETER_VALUE", 400, "mlflow.runName", json=fields)


def test_name_and_tag_stay_in_step(api: Api, run: str) -> None:
    api.post("runs/update", run_id=run, run_name="updated")
    told = get_run(api, run)
    assert told["info"]["run_name"] == "updated" and tags_of(told)["mlflow.runName"] == "updated"
    api.post("runs/set-tag", run_id=run, key="mlflow.runName", value="tagged")
    told = get_run(api, run)
    assert told["info"]["run_name"] == "tagged" and tags_of(told)["mlflow.runName"] == "tagged"
    api.post("runs/log-batch", run_id=run, tags=[{"key": "mlflow.runName", "value": "batched"}])
    told = get_run(api, run)
    assert told["info"]["run_name"] == "batched" and tags_of(told)["mlflow.runName"] == "batched"


def test_a_run_needs_an_experiment_that_is_there(api: Api) -> None:
    fields = {"experiment_id": "987654321"}
    api.refused("POST", "runs/create", "RESOURCE_DOES_NOT_EXIST", 404, "987654321", json=fields)


def test_a_run_that_is_not_there_is_a_missing_resource(api: Api) -> None:
    run = "0" * 32
    words = "not found"
    api.refused("GET", "runs/get", "RESOURCE_DOES_NOT_EXIST", 404, words, params={"run_id": run})
    for path, fields in (
        ("runs/update", {"status": "FINISHED"}),
        ("runs/delete", {}),
        ("runs/restore", {}),
        ("runs/set-tag", {"key": "k", "value": "v"}),
        ("runs/delete-tag", {"key": "k"}),
        ("runs/log-parameter", {"key": "k", "value": "v"}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1}),
        ("runs/log-batch", {"tags": [{"key": "k", "value": "v"}]}),
    ):
        api.refused("POST", path, "RESOURCE_DOES_NOT_EXIST", 404, words, json={"run_id": run, **fields})


def test_a_run_is_asked_for_by_either_id(api: Api, run: str) -> None:
    assert api.get("runs/get", run_uuid=run)["run"]["info"]["run_id"] == run
    assert api.get("runs/get", run_uuid=run, run_id=run)["run"]["info"]["run_id"] == run
    api.post("runs/set-tag", run_uuid=run, key="key", value="value")
    api.post("runs/log-parameter", run_uuid=run, key="key", value="value")
    api.post("runs/log-metric", run_uuid=run, key="key", value=1, timestamp=1)
    told = get_run(api, run)
    assert tags_of(told)["key"] == "value" and params_of(told) == {"key": "value"}


def test_a_run_is_ended(api: Api, run: str) -> None:
    told = api.post("runs/update", run_id=run, status="FINISHED", end_time=99)["run_info"]
    assert told["status"] == "FINISHED" and told["end_time"] == 99
    assert told == get_run(api, run)["info"]


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"])
def test_every_status_is_kept(api: Api, run: str, status: str) -> None:
    assert api.post("runs/update", run_id=run, status=status)["run_info"]["status"] == status
    assert get_run(api, run)["info"]["status"] == status


def test_a_name_is_changed_without_a_change_of_status(api: Api, run: str) -> None:
    api.post("runs/update", run_id=run, status="FINISHED", end_time=5)
    told = api.post("runs/update", run_id=run, run_name="other")["run_info"]
    assert told["status"] == "FINISHED" and told["end_time"] == 5 and told["run_name"] == "other"


def test_a_status_that_does_not_exist_changes_nothing(api: Api, run: str) -> None:
    answer = api.send("POST", "runs/update", json={"run_id": run, "status": "DONE"})
    assert answer.status_code in (200, 400)
    assert get_run(api, run)["info"]["status"] == "RUNNING"


def test_params_are_kept(api: Api, run: str) -> None:
    for key, value in (("a", "1"), ("deep/path/b", "x y"), ("c-d_e.f g:h", "ü🚰"), ("empty", "")):
        assert api.post("runs/log-parameter", run_id=run, key=key, value=value) == {}
        assert params_of(get_run(api, run))[key] == value


def test_a_param_cannot_change(api: Api, run: str) -> None:
    api.post("runs/log-parameter", run_id=run, key="a", value="1")
    api.post("runs/log-parameter", run_id=run, key="a", value="1")
    fields = {"run_id": run, "key": "a", "value": "2"}
    words = ("Changing param values is not allowed", "a")
    api.refused("POST", "runs/log-parameter", "INVALID_PARAMETER_VALUE", 400, *words, json=fields)
    batch = {"run_id": run, "params": [{"key": "a", "value": "2"}]}
    api.refused("POST", "runs/log-batch", "INVALID_PARAMETER_VALUE", 400, *words, json=batch)
    assert params_of(get_run(api, run)) == {"a": "1"}


def test_a_batch_names_a_param_once(api: Api, run: str) -> None:
    batch = {"run_id": run, "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]}
    api.refused("POST", "runs/log-batch", "INVALID_PARAMETER_VALUE", 400, "Duplicate", json=batch)
    assert params_of(get_run(api, run)) == {}


def test_tags_are_overwritten_and_deleted(api: Api, run: str) -> None:
    for value in ("one", "two", ""):
        assert api.post("runs/set-tag", run_id=run, key="k", value=value) == {}
        assert tags_of(get_run(api, run))["k"] == value
    assert api.post("runs/delete-tag", run_id=run, key="k") == {}
    assert "k" not in tags_of(get_run(api, run))
    fields = {"run_id": run, "key": "k"}
    words = f"No tag with name: k in run with id {run}"
    api.refused("POST", "runs/delete-tag", "RESOURCE_DOES_NOT_EXIST", 404, words, json=fields)


def test_the_user_is_a_tag_too(api: Api, experiment: str) -> None:
    tags = [{"key": "mlflow.user", "value": "ann"}]
    made = api.post("runs/create", experiment_id=experiment, user_id="ann", tags=tags)["run"]
    assert made["info"]["user_id"] == "ann" and tags_of(made)["mlflow.user"] == "ann"


def test_a_batch_logs_everything(api: Api, run: str) -> None:
    batch = {
        "metrics": [{"key": "m", "value": 0.5, "timestamp": 7, "step": 3}],
        "params": [{"key": "p", "value": "v"}],
        "tags": [{"key": "t", "value": "w"}],
    }
    assert api.post("runs/log-batch", batch, run_id=run) == {}
    told = get_run(api, run)
    assert told["data"]["metrics"] == [{"key": "m", "value": 0.5, "timestamp": 7, "step": 3}]
    assert params_of(told) == {"p": "v"} and tags_of(told)["t"] == "w"


def test_an_empty_batch_is_fine(api: Api, run: str) -> None:
    assert api.post("runs/log-batch", run_id=run) == {}
    assert api.post("runs/log-batch", run_id=run, metrics=[], params=[], tags=[]) == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied"),
        ({"params": "foo"}, "Invalid value \"foo\" for parameter 'params' supplied"),
        ({"tags": "foo"}, "Invalid value \"foo\" for parameter 'tags' supplied"),
        ({"metrics": [{"key": "m", "value": 2.5}]}, "Missing value for required parameter 'metrics[0].timestamp'"),
        ({"metrics": [{"key": "m", "timestamp": 1}]}, "Missing value for required parameter 'metrics[0].value'"),
        ({"metrics": [{"value": 1, "timestamp": 1}]}, "Missing value for required parameter 'metrics[0].key'"),
        ({"params": [{"value": "v"}]}, "Missing value for required parameter 'params[0].key'"),
        ({"tags": [{"key": "a", "value": "b"}, {"value": "v"}]}, "Missing value for required parameter 'tags[1].key'"),
    ],
)
def test_a_bad_batch_is_refused_and_leaves_nothing(api: Api, run: str, fields: dict[str, Any], words: str) -> None:
    before = get_run(api, run)
    given = {"run_id": run, "params": [{"key": "good", "value": "v"}], **fields}
    api.refused("POST", "runs/log-batch", "INVALID_PARAMETER_VALUE", 400, words, json=given)
    assert get_run(api, run) == before


def test_a_batch_needs_a_run(api: Api) -> None:
    words = "Missing value for required parameter 'run_id'"
    api.refused("POST", "runs/log-batch", "INVALID_PARAMETER_VALUE", 400, words, json={"params": []})


@pytest.mark.parametrize(
    ("count", "words"),
    [
        ({"metrics": 1001}, "1000"),
        ({"params": 101}, "100"),
        ({"tags": 101}, "100"),
        ({"metrics": 950, "params": 30, "tags": 30}, "1000"),
    ],
)
def test_a_batch_has_limits(api: Api, run: str, count: dict[str, int], words: str) -> None:
    def items(kind: str, number: int) -> list[dict[str, Any]]:
        value: dict[str, Any] = {"value": 1.0, "timestamp": 1} if kind == "metrics" else {"value": "v"}
        return [{"key": f"{kind}{i}", **value} for i in range(number)]

    before = get_run(api, run)
    fields = {kind: items(kind, number) for kind, number in count.items()}
    api.refused("POST", "runs/log-batch", "INVALID_PARAMETER_VALUE", 400, words, json={"run_id": run, **fields})
    assert get_run(api, run) == before


def test_a_full_batch_is_logged(api: Api, run: str) -> None:
    metrics = [{"key": f"m{i}", "value": i, "timestamp": 1, "step": 0} for i in range(800)]
    texts = [{"key": f"k{i}", "value": str(i)} for i in range(100)]
    api.post("runs/log-batch", run_id=run, metrics=metrics, params=texts, tags=texts)
    told = get_run(api, run)
    assert len(told["data"]["metrics"]) == 800 and len(params_of(told)) == 100 and len(tags_of(told)) == 101


@pytest.mark.parametrize("key", ["../up", "a//b", "/up", ".", "..", "a/../b", "tab\tbed", "semi;colon", "a/"])
@pytest.mark.parametrize("path", ["log-parameter", "log-metric", "set-tag"])
def test_a_name_that_is_no_clean_path_is_refused(api: Api, run: str, path: str, key: str) -> None:
    value = {"value": 1, "timestamp": 1} if path == "log-metric" else {"value": "v"}
    fields = {"run_id": run, "key": key, **value}
    api.refused("POST", f"runs/{path}", "INVALID_PARAMETER_VALUE", 400, json=fields)


@pytest.mark.parametrize("path", ["log-parameter", "log-metric", "set-tag"])
def test_a_name_has_at_most_250_characters(api: Api, run: str, path: str) -> None:
    value = {"value": 1, "timestamp": 1} if path == "log-metric" else {"value": "v"}
    api.post(f"runs/{path}", value, run_id=run, key="k" * 250)
    fields = {"run_id": run, "key": "k" * 251, **value}
    api.refused("POST", f"runs/{path}", "INVALID_PARAMETER_VALUE", 400, "250", json=fields)


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("set-tag", {"run_id": 31, "key": "tag", "value": 41}, "Invalid value 31 for parameter 'run_id' supplied"),
        ("set-tag", {"key": "tag", "value": 41}, "Invalid value 41 for parameter 'value' supplied"),
        ("set-tag", {"value": "v"}, "Missing value for required parameter 'key'"),
        ("set-tag", {"run_id": None, "key": "k"}, "Missing value for required parameter 'run_id'"),
        ("log-parameter", {"run_id": 31, "key": "p", "value": 41}, "Invalid value 31 for parameter 'run_id' supplied"),
        ("log-parameter", {"key": 31, "value": 41}, "Invalid value 31 for parameter 'key' supplied"),
        ("log-parameter", {"value": "v"}, "Missing value for required parameter 'key'"),
        ("delete-tag", {}, "Missing value for required parameter 'key'"),
        ("update", {"run_id": None, "status": "FINISHED"}, "Missing value for required parameter 'run_id'"),
    ],
)
def test_a_bad_request_names_the_parameter_and_the_value(
    api: Api, run: str, path: str, fields: dict[str, Any], words: str
) -> None:
    given = {"run_id": run, **fields}
    api.refused("POST", f"runs/{path}", "INVALID_PARAMETER_VALUE", 400, words, json=given)


def test_a_deleted_run_is_read_but_not_written(api: Api, run: str) -> None:
    api.post("runs/set-tag", run_id=run, key="k", value="v")
    assert api.post("runs/delete", run_id=run) == {}
    told = get_run(api, run)
    assert told["info"]["lifecycle_stage"] == "deleted" and tags_of(told)["k"] == "v"
    words = f"The run {run} must be in the 'active' state. Current state is deleted"
    for path, fields in (
        ("set-tag", {"key": "k", "value": "w"}),
        ("delete-tag", {"key": "k"}),
        ("log-parameter", {"key": "p", "value": "v"}),
        ("log-metric", {"key": "m", "value": 1, "timestamp": 1}),
        ("log-batch", {"tags": [{"key": "k", "value": "w"}]}),
        ("update", {"status": "FINISHED"}),
    ):
        given = {"run_id": run, **fields}
        api.refused("POST", f"runs/{path}", "INVALID_PARAMETER_VALUE", 400, words, json=given)
    assert api.post("runs/restore", run_id=run) == {}
    assert get_run(api, run)["info"]["lifecycle_stage"] == "active"
    api.post("runs/set-tag", run_id=run, key="k", value="w")


def test_deleting_and_restoring_may_be_repeated(api: Api, run: str) -> None:
    for _ in range(2):
        assert api.post("runs/delete", run_id=run) == {}
        assert get_run(api, run)["info"]["lifecycle_stage"] == "deleted"
    for _ in range(2):
        assert api.post("runs/restore", run_id=run) == {}
        assert get_run(api, run)["info"]["lifecycle_stage"] == "active"


def test_runs_go_with_their_experiment_and_come_back_with_it(api: Api, experiment: str, run: str) -> None:
    api.post("experiments/delete", experiment_id=experiment)
    assert get_run(api, run)["info"]["lifecycle_stage"] == "deleted"
    api.post("experiments/restore", experiment_id=experiment)
    assert get_run(api, run)["info"]["lifecycle_stage"] == "active"


def test_the_model_of_an_old_client_is_kept_as_a_tag(api: Api, run: str) -> None:
    model = (
        '{"artifact_path": "model", "flavors": {"python_function": {}}, "utc_time_created": "2026-01-01",'
        f' "run_id": "{run}", "model_uuid": "x"}}'
    )
    assert api.post("runs/log-model", run_id=run, model_json=model) == {}
    api.post("runs/log-model", run_id=run, model_json=model.replace('"model"', '"other"'))
    history = tags_of(get_run(api, run))["mlflow.log-model.history"]
    assert '"artifact_path": "model"' in history and '"artifact_path": "other"' in history


@pytest.mark.parametrize("model", ["no json", '{"artifact_path": "x"}'])
def test_a_model_that_says_too_little_is_refused(api: Api, run: str, model: str) -> None:
    fields = {"run_id": run, "model_json": model}
    api.refused("POST", "runs/log-model", "INVALID_PARAMETER_VALUE", 400, json=fields)
