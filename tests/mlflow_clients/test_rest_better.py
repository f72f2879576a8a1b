"""Where MLflow's own server is wrong: what is kept is what was sent, or it is refused, in words."""

import json
import math
from typing import Any

import pytest
import requests
from rest import Api

pytestmark = pytest.mark.better_than_mlflow


def refused(answer: requests.Response) -> None:
    """A structured refusal that gives nothing away."""
    assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.text[:300]}"
    told = answer.json()
    assert told["error_code"] and told["message"]
    for secret in ("Traceback", "SELECT", "sqlite", "site-packages", "/home/"):
        assert secret not in answer.text


def get_run(api: Api, run: str) -> dict[str, Any]:
    told: dict[str, Any] = api.get("runs/get", run_id=run)["run"]
    return told


def history(api: Api, run: str, key: str) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = api.get("metrics/get-history", run_id=run, metric_key=key).get("metrics", [])
    return points


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize("path", ["log-metric", "log-batch"])
def test_a_bare_number_that_json_does_not_know_is_kept_or_refused(api: Api, run: str, path: str, token: str) -> None:
    point = f'"key": "m", "value": {token}, "timestamp": 7, "step": 3'
    body = f'{{"run_id": "{run}", {point}}}'
    if path == "log-batch":
        body = f'{{"run_id": "{run}", "metrics": [{{{point}}}]}}'
    answer = api.raw(f"runs/{path}", body)
    kept = history(api, run, "m")
    if answer.status_code == 200:
        assert len(kept) == 1 and kept[0]["timestamp"] == 7 and kept[0]["step"] == 3
        assert str(float(kept[0]["value"])) == str(float(token))
    else:
        refused(answer)
        assert kept == []


@pytest.mark.parametrize(("word", "value"), [("Infinity", math.inf), ("-Infinity", -math.inf)])
def test_infinity_is_infinity(api: Api, run: str, word: str, value: float) -> None:
    api.post("runs/log-metric", run_id=run, key="m", value=word, timestamp=1)
    assert float(history(api, run, "m")[0]["value"]) == value
    assert float(get_run(api, run)["data"]["metrics"][0]["value"]) == value


def test_a_negative_zero_keeps_its_sign(api: Api, run: str) -> None:
    api.post("runs/log-metric", run_id=run, key="m", value=-0.0, timestamp=1)
    assert math.copysign(1, history(api, run, "m")[0]["value"]) == -1


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b"5",
        b'{"experiment_ids": ["0"]} trailing',
        b"\xff\xfe{}",
        b'{"filter": "\xff"}',
        b"[" * 5000,
        b'{"filter": "' + b"\\ud800" + b'"}',
    ],
)
@pytest.mark.parametrize("path", ["runs/search", "experiments/search", "runs/log-batch", "registered-models/create"])
def test_a_body_that_cannot_be_read_is_refused(api: Api, path: str, body: bytes) -> None:
    refused(api.raw(path, body))


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 2**63}, "timestamp"),
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1, "step": -(2**63) - 1}, "step"),
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1, "step": 1.5}, "step"),
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1, "step": True}, "step"),
        ("runs/log-metric", {"key": "m", "value": [1], "timestamp": 1}, "value"),
        ("runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 2**64}]}, "timestamp"),
        ("runs/log-parameter", {"key": "p", "value": {"a": 1}}, "value"),
        ("runs/set-tag", {"key": "nul\0", "value": "v"}, "key"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(
    api: Api, run: str, path: str, fields: dict[str, Any], words: str
) -> None:
    before = get_run(api, run)
    answer = api.send("POST", path, json={"run_id": run, **fields})
    refused(answer)
    assert words in answer.json()["message"]
    assert get_run(api, run) == before


@pytest.mark.parametrize(("path", "limit"), [("runs/log-parameter", 6000), ("runs/set-tag", 8000)])
def test_a_long_value_is_kept_whole_or_refused(api: Api, run: str, path: str, limit: int) -> None:
    api.post(path, run_id=run, key="fits", value="x" * limit)
    beyond = "x" * (limit + 1)
    answer = api.send("POST", path, json={"run_id": run, "key": "beyond", "value": beyond})
    kind = "params" if "parameter" in path else "tags"
    kept = {item["key"]: item["value"] for item in get_run(api, run)["data"][kind]}
    assert kept["fits"] == "x" * limit
    if answer.status_code == 200:
        assert kept["beyond"] == beyond
    else:
        refused(answer)
        assert "beyond" not in kept


def test_a_bad_item_in_the_middle_of_a_batch_leaves_nothing(api: Api, run: str) -> None:
    before = get_run(api, run)
    metrics: list[dict[str, Any]] = [{"key": f"m{i}", "value": i, "timestamp": 1} for i in range(100)]
    metrics[50]["key"] = "../up"
    answer = api.send("POST", "runs/log-batch", json={"run_id": run, "metrics": metrics})
    refused(answer)
    assert get_run(api, run) == before


def test_a_changed_param_undoes_its_whole_batch(api: Api, run: str) -> None:
    api.post("runs/log-parameter", run_id=run, key="p", value="1")
    before = get_run(api, run)
    fields = {
        "run_id": run,
        "metrics": [{"key": "m", "value": 1, "timestamp": 1}],
        "params": [{"key": "new", "value": "v"}, {"key": "p", "value": "2"}],
        "tags": [{"key": "t", "value": "v"}],
    }
    refused(api.send("POST", "runs/log-batch", json=fields))
    assert get_run(api, run) == before and history(api, run, "m") == []


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../other",
        "%2e%2e",
        "%2e%2e/other",
        "..%2fother",
        ".",
        "",
        "x/../..",
        "x/%2e%2e/%2e%2e",
        "%252e%252e",
    ],
)
def test_a_delete_never_reaches_above_its_run(api: Api, experiment: str, run: str, path: str) -> None:
    other = api.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    root = "/api/2.0/mlflow-artifacts/artifacts"
    for held in (run, other):
        answer = api.send("PUT", f"{root}/{experiment}/{held}/artifacts/kept.txt", data=b"kept")
        assert answer.status_code == 200
    request = requests.Request("DELETE", api.url).prepare()
    request.url = f"{api.url}{root}/{experiment}/{run}/artifacts/{path}"  # as it stands, not made clean
    with requests.Session() as session:
        answer = session.send(request, timeout=300)
    assert answer.status_code < 500
    kept = api.send("GET", f"{root}/{experiment}/{other}/artifacts/kept.txt")
    assert kept.content == b"kept"


@pytest.mark.parametrize("path", ["", "0", "{experiment}", "{experiment}/{run}"])
def test_what_lies_above_a_run_is_not_deleted(api: Api, experiment: str, run: str, path: str) -> None:
    root = "/api/2.0/mlflow-artifacts/artifacts"
    api.send("PUT", f"{root}/{experiment}/{run}/artifacts/kept.txt", data=b"kept")
    api.send("DELETE", f"{root}/{path.format(experiment=experiment, run=run)}")
    assert api.send("GET", f"{root}/{experiment}/{run}/artifacts/kept.txt").content == b"kept"


@pytest.mark.parametrize(
    "filter",
    ["params. = 'x'", "params.lr = 'a' params.lr = 'b'", "AND", "params.lr = 'a' AND", "AND params.lr = 'a'"],
)
def test_a_filter_that_cannot_be_read_finds_nothing_and_says_so(api: Api, experiment: str, filter: str) -> None:
    refused(api.send("POST", "runs/search", json={"experiment_ids": [experiment], "filter": filter}))


def test_a_deleted_experiment_cannot_be_renamed(api: Api, experiment: str, name: str) -> None:
    api.post("experiments/delete", experiment_id=experiment)
    refused(api.send("POST", "experiments/update", json={"experiment_id": experiment, "new_name": f"{name}-2"}))


def test_a_status_that_does_not_exist_is_refused(api: Api, run: str) -> None:
    refused(api.send("POST", "runs/update", json={"run_id": run, "status": "DONE"}))


def test_histories_of_several_runs_are_thinned_at_the_same_steps(api: Api, experiment: str) -> None:
    runs = [api.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"] for _ in range(2)]
    url = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"

    def log(run: str, timestamp: int, steps: int) -> None:
        points = [{"key": "m", "value": 10.0, "timestamp": timestamp, "step": i} for i in range(steps)]
        api.post("runs/log-batch", run_id=run, metrics=points)

    def steps(**query: Any) -> list[list[int]]:
        told = api.get(url, metric_key="m", max_results=5, **query).get("metrics", [])
        return [[point["step"] for point in told if point["run_id"] == run] for run in runs]

    log(runs[0], 1, 10)
    assert steps(run_ids=runs[:1]) == [[0, 2, 4, 6, 8, 9], []]
    assert steps(run_ids=runs[:1], start_step=0, end_step=4) == [[0, 1, 2, 3, 4], []]
    log(runs[1], 1, 20)
    assert steps(run_ids=runs) == [[0, 4, 8, 9], [0, 4, 8, 9, 12, 16, 19]]
    log(runs[0], 2, 10)
    told = api.get(url, run_ids=runs[:1], metric_key="m", max_results=5)["metrics"]
    assert [(point["step"], point["timestamp"]) for point in told] == [
        (step, at) for step in (0, 2, 4, 6, 8, 9) for at in (1, 2)
    ]


@pytest.fixture
def model(api: Api, name: str) -> str:
    """The name of a new model."""
    api.post("registered-models/create", name=name)
    return name


def test_archiving_into_the_archive_is_refused(api: Api, model: str) -> None:
    api.post("model-versions/create", name=model, source="s3://bucket/x")
    fields = {"name": model, "version": "1", "stage": "Archived", "archive_existing_versions": True}
    refused(api.send("POST", "model-versions/transition-stage", json=fields))


@pytest.mark.parametrize(
    "source",
    [
        "runs:/another_run/model",
        "mlflow-artifacts:/models",
        "mlflow-artifacts:/models/",
        "mlflow-artifacts:/models///",
        "mlflow-artifacts:/models/foo///bar",
        "mlflow-artifacts://host:9000/models",
        "mlflow-artifacts://host:9000/models/artifact/..../",
        "https://host/models",
        "s3://bucket/models",
    ],
)
def test_a_source_that_servers_took_before_is_still_taken(api: Api, model: str, run: str, source: str) -> None:
    made = api.post("model-versions/create", name=model, source=source, run_id=run)["model_version"]
    assert made["source"] == source


@pytest.mark.parametrize(
    "source",
    [
        "mlflow-artifacts://host:9000/models/../../../",
        "http://host:9000/models/../../../",
        "https://host/api/2.0/mlflow-artifacts/artifacts/../../../",
        "s3a://my_bucket/api/2.0/mlflow-artifacts/artifacts/../../../",
        "ftp://host:8888/api/2.0/mlflow-artifacts/artifacts/../../../",
        "mlflow-artifacts://host:9000/models/..%2f..%2fartifacts",
        "mlflow-artifacts://host:9000/models/artifact%00",
    ],
)
def test_a_source_that_leads_elsewhere_is_refused_in_the_same_words(
    api: Api, model: str, run: str, source: str
) -> None:
    answer = api.send("POST", "model-versions/create", json={"name": model, "source": source, "run_id": run})
    refused(answer)
    assert "If supplying a source as an http, https," in answer.json()["message"]


@pytest.mark.parametrize(("key", "normal"), [("a//b", "a/b"), ("../up", "up"), ("a/./b/", "a/b"), ("..", "accuracy")])
def test_a_name_that_is_no_clean_path_is_told_which_one_is(api: Api, run: str, key: str, normal: str) -> None:
    answer = api.send("POST", "runs/log-parameter", json={"run_id": run, "key": key, "value": "v"})
    refused(answer)
    assert answer.json()["message"].endswith(f"such as '{normal}'.")


@pytest.mark.parametrize("fields", [{"filter": "metrics.acc > 'x'"}, {"page_token": "never given out"}])
def test_a_search_of_logged_models_that_cannot_be_read_is_refused(
    api: Api, experiment: str, fields: dict[str, Any]
) -> None:
    refused(api.send("POST", "logged-models/search", json={"experiment_ids": [experiment], **fields}))


def test_errors_are_json_with_a_code_and_a_message(api: Api) -> None:
    for method, path in (("GET", "nothing"), ("POST", "nothing/else"), ("PATCH", "runs/create"), ("GET", "runs/get")):
        answer = api.send(method, path)
        refused(answer)
        assert set(json.loads(answer.text)) >= {"error_code", "message"}
