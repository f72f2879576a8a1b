"""Logged models, inputs, outputs and datasets in the bare protocol."""

import re
import time
from typing import Any

import pytest
from rest import Api


def create(api: Api, experiment: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.post("logged-models", experiment_id=experiment, **fields)["model"]
    return made


def get(api: Api, model: str) -> dict[str, Any]:
    told: dict[str, Any] = api.get(f"logged-models/{model}")["model"]
    return told


def test_a_new_model_is_told_whole(api: Api, experiment: str, run: str) -> None:
    made = create(
        api,
        experiment,
        name="tree",
        model_type="classifier",
        source_run_id=run,
        params=[{"key": "depth", "value": "3"}],
        tags=[{"key": "k", "value": "v"}],
    )
    info = made["info"]
    model = info["model_id"]
    assert re.fullmatch("m-[0-9a-f]{32}", model)
    assert isinstance(info["creation_timestamp_ms"], int) and isinstance(info["last_updated_timestamp_ms"], int)
    expected = {
        "experiment_id": experiment,
        "name": "tree",
        "model_type": "classifier",
        "source_run_id": run,
        "status": "LOGGED_MODEL_PENDING",
        "artifact_uri": f"mlflow-artifacts:/{experiment}/models/{model}/artifacts",
        "tags": [{"key": "k", "value": "v"}],
    }
    assert {key: value for key, value in info.items() if key in expected} == expected
    assert made["data"]["params"] == [{"key": "depth", "value": "3"}]
    assert get(api, model) == made


def test_a_model_without_a_name_is_given_one(api: Api, experiment: str) -> None:
    assert create(api, experiment)["info"]["name"]


def test_a_model_needs_an_experiment(api: Api) -> None:
    words = "Missing value for required parameter 'experiment_id'"
    api.refused("POST", "logged-models", "INVALID_PARAMETER_VALUE", 400, words, json={"name": "x"})
    fields = {"experiment_id": "987654321", "name": "x"}
    api.refused("POST", "logged-models", "RESOURCE_DOES_NOT_EXIST", 404, json=fields)


@pytest.mark.parametrize("bad", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"])
def test_a_name_cannot_be_part_of_an_address(api: Api, experiment: str, bad: str) -> None:
    fields = {"experiment_id": experiment, "name": bad}
    api.refused("POST", "logged-models", "INVALID_PARAMETER_VALUE", 400, json=fields)


def test_a_model_is_finalized(api: Api, experiment: str) -> None:
    model = create(api, experiment)["info"]["model_id"]
    for status in ("LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"):
        fields = {"model_id": model, "status": status}
        assert api.patch(f"logged-models/{model}", **fields)["model"]["info"]["status"] == status
        assert get(api, model)["info"]["status"] == status


def test_a_model_that_is_not_there(api: Api) -> None:
    model = "m-" + "0" * 32
    words = f"{model}"
    for method, path, fields in (
        ("GET", "", {}),
        ("PATCH", "", {"model_id": model, "status": "LOGGED_MODEL_READY"}),
        ("DELETE", "", {}),
        ("PATCH", "/tags", {"tags": [{"key": "k", "value": "v"}]}),
        ("DELETE", "/tags/k", {}),
        ("POST", "/params", {"model_id": model, "params": [{"key": "k", "value": "v"}]}),
        ("GET", "/artifacts/directories", {}),
    ):
        options = {} if method == "GET" else {"json": fields}
        api.refused(method, f"logged-models/{model}{path}", "RESOURCE_DOES_NOT_EXIST", 404, words, **options)


def test_params_are_added(api: Api, experiment: str) -> None:
    model = create(api, experiment, params=[{"key": "a", "value": "1"}])["info"]["model_id"]
    fields = {"model_id": model, "params": [{"key": "b", "value": "2"}, {"key": "c", "value": ""}]}
    assert api.post(f"logged-models/{model}/params", fields) == {}
    params = {param["key"]: param.get("value", "") for param in get(api, model)["data"]["params"]}
    assert params == {"a": "1", "b": "2", "c": ""}


def test_tags_are_set_and_deleted(api: Api, experiment: str) -> None:
    model = create(api, experiment)["info"]["model_id"]

    def tags() -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in get(api, model)["info"].get("tags", [])}

    api.patch(f"logged-models/{model}/tags", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    api.patch(f"logged-models/{model}/tags", tags=[{"key": "a", "value": "3"}])
    assert tags() == {"a": "3", "b": "2"}
    assert api.send("DELETE", f"logged-models/{model}/tags/a").status_code == 200
    assert tags() == {"b": "2"}
    words = "No tag with key"
    api.refused("DELETE", f"logged-models/{model}/tags/a", "RESOURCE_DOES_NOT_EXIST", 404, words)


def test_a_deleted_model_is_gone_unless_asked_for(api: Api, experiment: str) -> None:
    model = create(api, experiment)["info"]["model_id"]
    assert api.send("DELETE", f"logged-models/{model}").status_code == 200
    api.refused("GET", f"logged-models/{model}", "RESOURCE_DOES_NOT_EXIST", 404, "not found")
    told = api.get(f"logged-models/{model}", allow_deleted="true")["model"]
    assert told["info"]["model_id"] == model
    assert api.post("logged-models/search", experiment_ids=[experiment]) == {}


def test_a_metric_of_a_model_is_kept_with_it(api: Api, experiment: str, run: str) -> None:
    model = create(api, experiment)["info"]["model_id"]
    point = {
        "key": "acc",
        "value": 0.5,
        "timestamp": 123,
        "step": 1,
        "model_id": model,
        "dataset_name": "name",
        "dataset_digest": "digest",
    }
    api.post("runs/log-metric", point, run_id=run)
    assert get(api, model)["data"]["metrics"] == [{**point, "run_id": run}]
    told = api.get("runs/get", run_id=run)["run"]["data"]["metrics"]
    assert [metric["value"] for metric in told if metric["key"] == "acc"] == [0.5]


def test_metrics_of_a_batch_are_kept_with_their_models(api: Api, experiment: str, run: str) -> None:
    models = [create(api, experiment)["info"]["model_id"] for _ in range(2)]
    metrics = [
        {"key": "m", "value": float(i), "timestamp": 5, "step": i, "model_id": model}
        for model in models
        for i in range(3)
    ]
    api.post("runs/log-batch", run_id=run, metrics=metrics)
    for model in models:
        values = sorted(metric["value"] for metric in get(api, model)["data"]["metrics"])
        assert values == [0.0, 1.0, 2.0] or values == [2.0]


def test_inputs_are_kept_once(api: Api, run: str) -> None:
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "s", "schema": "c", "profile": "p"}
    given = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
    for _ in range(2):
        assert api.post("runs/log-inputs", run_id=run, datasets=[given]) == {}
    told = api.get("runs/get", run_id=run)["run"]["inputs"]["dataset_inputs"]
    assert told == [given]


def test_inputs_of_a_model(api: Api, experiment: str, run: str) -> None:
    model = create(api, experiment)["info"]["model_id"]
    api.post("runs/log-inputs", run_id=run, models=[{"model_id": model}])
    assert api.get("runs/get", run_id=run)["run"]["inputs"]["model_inputs"] == [{"model_id": model}]


def test_outputs_are_kept_with_their_step(api: Api, experiment: str, run: str) -> None:
    model = create(api, experiment)["info"]["model_id"]
    assert api.post("runs/outputs", run_id=run, models=[{"model_id": model, "step": 3}]) == {}
    assert api.get("runs/get", run_id=run)["run"]["outputs"]["model_outputs"] == [{"model_id": model, "step": 3}]
    found = api.post("runs/search", experiment_ids=[experiment])["runs"][0]
    assert found["outputs"]["model_outputs"] == [{"model_id": model, "step": 3}]


def test_inputs_and_outputs_need_a_run(api: Api) -> None:
    words = "Missing value for required parameter 'run_id'"
    fields: dict[str, Any] = {
        "datasets": [{"dataset": {"name": "d", "digest": "1", "source_type": "s", "source": "s"}}]
    }
    api.refused("POST", "runs/log-inputs", "INVALID_PARAMETER_VALUE", 400, words, json=fields)
    fields = {"models": [{"model_id": "m-1", "step": 0}]}
    api.refused("POST", "runs/outputs", "INVALID_PARAMETER_VALUE", 400, words, json=fields)
    fields = {"run_id": "0" * 32, "datasets": []}
    api.refused("POST", "runs/log-inputs", "RESOURCE_DOES_NOT_EXIST", 404, json=fields)


def test_datasets_are_summed_up_for_an_experiment(api: Api, experiment: str, run: str) -> None:
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "s"}
    given = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
    plain = {"dataset": {**dataset, "digest": "2"}}
    api.post("runs/log-inputs", run_id=run, datasets=[given, plain])
    url = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    told = api.post(url, experiment_ids=[experiment])["dataset_summaries"]
    assert sorted(told, key=lambda summary: str(summary["digest"])) == [
        {"experiment_id": experiment, "name": "d", "digest": "1", "context": "training"},
        {"experiment_id": experiment, "name": "d", "digest": "2"},
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "SearchDatasets request must specify at least one experiment_id."),
        ({"experiment_ids": []}, "SearchDatasets request must specify at least one experiment_id."),
        ({"experiment_ids": [str(i) for i in range(21)]}, "SearchDatasets request cannot specify more than"),
    ],
)
def test_summing_up_needs_a_few_experiments(api: Api, fields: dict[str, Any], words: str) -> None:
    url = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    api.refused("POST", url, "INVALID_PARAMETER_VALUE", 400, words, json=fields)


def test_runs_are_found_by_their_datasets(api: Api, experiment: str, run: str) -> None:
    api.post("runs/create", experiment_id=experiment)
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "s"}
    given = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "train"}]}
    api.post("runs/log-inputs", run_id=run, datasets=[given])

    def find(filter: str) -> list[str]:
        found = api.post("runs/search", experiment_ids=[experiment], filter=filter).get("runs", [])
        return [held["info"]["run_id"] for held in found]

    for filter in (
        "dataset.name = 'd'",
        "datasets.digest = '1'",
        "dataset.context = 'train'",
        "dataset.name LIKE 'd%'",
        "dataset.name IN ('d', 'e')",
        "dataset.name = 'd' AND dataset.context = 'train'",
    ):
        assert find(filter) == [run], filter
    assert find("dataset.name = 'other'") == []
    fields = {"experiment_ids": [experiment], "filter": "dataset.nothing = 'x'"}
    api.refused("POST", "runs/search", "INVALID_PARAMETER_VALUE", 400, json=fields)


@pytest.fixture
def shelf(api: Api, experiment: str, run: str) -> dict[str, str]:
    """Models a, b and c by their names, the oldest first, with params, tags and metrics."""
    models = {}
    for number, name in enumerate("abc", start=1):
        params = [{"key": "depth", "value": str(number)}]
        tags = [{"key": "team", "value": "risk" if name == "a" else "Risk"}]
        fields = {"name": name, "params": params, "tags": tags, "model_type": "t"}
        model = create(api, experiment, **fields)["info"]["model_id"]
        models[name] = model
        metric = {"key": "acc", "value": number / 10, "timestamp": 1, "model_id": model}
        data = {"dataset_name": "d1" if name == "a" else "d2", "dataset_digest": "x"}
        api.post("runs/log-metric", metric | data, run_id=run)
        time.sleep(0.005)
    api.patch(f"logged-models/{models['b']}", model_id=models["b"], status="LOGGED_MODEL_READY")
    return models


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("", "cba"),
        ("name = 'a'", "a"),
        ("name != 'a'", "cb"),
        ("attributes.name = 'b'", "b"),
        ("name LIKE '%'", "cba"),
        ("model_type = 't'", "cba"),
        ("metrics.acc > 0.15", "cb"),
        ("metrics.acc >= 0.1 AND params.depth = '1'", "a"),
        ("params.depth != '1'", "cb"),
        ("params.depth IN ('1', '9')", "a"),
        ("tags.team = 'risk'", "a"),
        ("tags.team ILIKE 'RISK'", "cba"),
        ("creation_timestamp > 0", "cba"),
        ("metrics.nothing > 0", ""),
        ("name IN ('a', 'c')", "ca"),
    ],
)
def test_models_are_searched(api: Api, experiment: str, shelf: dict[str, str], filter: str, found: str) -> None:
    told = api.post("logged-models/search", experiment_ids=[experiment], filter=filter).get("models", [])
    assert "".join(model["info"]["name"] for model in told) == found
    for model in told:
        assert model == get(api, model["info"]["model_id"])


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ([{"field_name": "creation_timestamp", "ascending": False}], "cba"),
        ([{"field_name": "creation_timestamp", "ascending": True}], "abc"),
        ([{"field_name": "name"}], "abc"),
        ([{"field_name": "metrics.acc", "ascending": False}], "cba"),
        ([{"field_name": "metrics.acc"}], "abc"),
        ([{"field_name": "metrics.acc", "dataset_name": "d1"}], "acb"),
    ],
)
def test_models_are_put_in_order(
    api: Api, experiment: str, shelf: dict[str, str], order: list[dict[str, Any]], found: str
) -> None:
    told = api.post("logged-models/search", experiment_ids=[experiment], order_by=order)["models"]
    assert "".join(model["info"]["name"] for model in told) == found


def test_models_are_searched_by_dataset(api: Api, experiment: str, shelf: dict[str, str]) -> None:
    def find(filter: str, *datasets: dict[str, str]) -> str:
        fields = {"experiment_ids": [experiment], "filter": filter, "datasets": list(datasets)}
        told = api.post("logged-models/search", fields).get("models", [])
        return "".join(model["info"]["name"] for model in told)

    assert find("", {"dataset_name": "d1", "dataset_digest": "x"}) == "a"
    assert find("", {"dataset_name": "d2", "dataset_digest": "x"}) == "cb"
    assert find("metrics.acc > 0.25", {"dataset_name": "d2", "dataset_digest": "x"}) == "c"
    assert find("metrics.acc > 0.25", {"dataset_name": "d1", "dataset_digest": "x"}) == ""


def test_models_come_in_pages(api: Api, experiment: str, shelf: dict[str, str]) -> None:
    fields: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 1}
    pages = []
    while True:
        page = api.post("logged-models/search", fields)
        pages.append([model["info"]["name"] for model in page["models"]])
        if "next_page_token" not in page:
            break
        fields["page_token"] = page["next_page_token"]
    assert pages == [["c"], ["b"], ["a"]]


@pytest.mark.parametrize(
    "fields",
    [
        {"filter": "nothing.x = 'y'"},
        {"filter": "name = "},
        {"order_by": [{"field_name": "nothing"}]},
        {"experiment_ids": None},
    ],
)
def test_searches_that_cannot_be_read_are_refused(api: Api, experiment: str, fields: dict[str, Any]) -> None:
    given = {"experiment_ids": [experiment], **fields}
    api.refused("POST", "logged-models/search", "INVALID_PARAMETER_VALUE", 400, json=given)


def test_the_files_of_a_model_are_listed_and_read(api: Api, experiment: str) -> None:
    info = create(api, experiment)["info"]
    model, root = (
        info["model_id"],
        f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/models/{info['model_id']}/artifacts",
    )
    for path in ("MLmodel", "data/model.bin"):
        assert api.send("PUT", f"{root}/{path}", data=b"x").status_code == 200
    told = api.get(f"logged-models/{model}/artifacts/directories")
    assert told["root_uri"] == info["artifact_uri"]
    assert [file["path"] for file in told["files"]] == ["MLmodel", "data"]
    told = api.get(f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/directories", artifact_directory_path="data")
    assert told["files"] == [{"path": "data/model.bin", "is_dir": False, "file_size": 1}]
    url = f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files"
    answer = api.send("GET", url, params={"artifact_file_path": "MLmodel"})
    assert answer.status_code == 200 and answer.content == b"x"
    assert api.send("GET", url).status_code == 400
    api.refused("GET", url, "INVALID_PARAMETER_VALUE", 400, params={"artifact_file_path": "../x"})


def test_versions_are_noted_at_the_model_that_they_are_of(api: Api, experiment: str, name: str) -> None:
    info = create(api, experiment)["info"]
    api.post("registered-models/create", name=name)
    for _ in range(2):
        api.post("model-versions/create", name=name, source=info["artifact_uri"], model_id=info["model_id"])
    tags = {tag["key"]: tag["value"] for tag in get(api, info["model_id"])["info"]["tags"]}
    assert tags["mlflow.modelVersions"] == f'[{{"name": "{name}", "version": 1}}, {{"name": "{name}", "version": 2}}]'


def test_a_source_that_is_a_logged_model_leads_to_its_files(api: Api, experiment: str, name: str) -> None:
    info = create(api, experiment)["info"]
    api.post("registered-models/create", name=name)
    fields = {"name": name, "source": f"models:/{info['model_id']}", "model_id": info["model_id"]}
    assert api.post("model-versions/create", fields)["model_version"]["source"] == fields["source"]
    told = api.get("model-versions/get-download-uri", name=name, version="1")
    assert told == {"artifact_uri": info["artifact_uri"]}
    fields |= {"source": "file:///path/to/model"}
    api.refused("POST", "model-versions/create", "INVALID_PARAMETER_VALUE", 400, json=fields)
