"""Registered models and their versions in the bare protocol."""

import time
from typing import Any

import pytest
from rest import Api


@pytest.fixture
def model(api: Api, name: str) -> str:
    """The name of a new model."""
    api.post("registered-models/create", name=name)
    return name


def add(api: Api, model: str, source: str = "s3://bucket/model", **fields: Any) -> dict[str, Any]:
    """A new version."""
    made: dict[str, Any] = api.post("model-versions/create", name=model, source=source, **fields)["model_version"]
    return made


def get(api: Api, model: str) -> dict[str, Any]:
    told: dict[str, Any] = api.get("registered-models/get", name=model)["registered_model"]
    return told


def version(api: Api, model: str, number: str | int) -> dict[str, Any]:
    told: dict[str, Any] = api.get("model-versions/get", name=model, version=number)["model_version"]
    return told


def test_a_new_model_is_told_whole(api: Api, name: str) -> None:
    tags = [{"key": "k", "value": "v"}]
    made = api.post("registered-models/create", name=name, tags=tags, description="what it is")["registered_model"]
    assert isinstance(made["creation_timestamp"], int)
    assert made["last_updated_timestamp"] == made["creation_timestamp"]
    expected = {"name": name, "description": "what it is", "tags": tags}
    for told in (made, get(api, name)):
        assert {key: value for key, value in told.items() if key in expected} == expected
        assert "latest_versions" not in told and "aliases" not in told


def test_a_name_is_given_once(api: Api, model: str) -> None:
    words = f"Registered Model (name={model}) already exists"
    api.refused("POST", "registered-models/create", "RESOURCE_ALREADY_EXISTS", 400, words, json={"name": model})


@pytest.mark.parametrize("nothing", ["", None])
def test_a_model_needs_a_name(api: Api, nothing: str | None) -> None:
    words = "Missing value for required parameter 'name'"
    api.refused("POST", "registered-models/create", "INVALID_PARAMETER_VALUE", 400, words, json={"name": nothing})


def test_a_name_is_a_text(api: Api) -> None:
    words = "Invalid value 5 for parameter 'name'"
    api.refused("POST", "registered-models/create", "INVALID_PARAMETER_VALUE", 400, words, json={"name": 5})


@pytest.mark.parametrize("bad", ["a/b", "a:b"])
def test_a_name_cannot_be_part_of_an_address(api: Api, name: str, bad: str) -> None:
    fields = {"name": f"{name}{bad}"}
    api.refused("POST", "registered-models/create", "INVALID_PARAMETER_VALUE", 400, json=fields)


def test_a_model_that_is_not_there(api: Api, name: str) -> None:
    words = f"Registered Model with name={name} not found"
    api.refused("GET", "registered-models/get", "RESOURCE_DOES_NOT_EXIST", 404, words, params={"name": name})
    for method, path, fields in (
        ("PATCH", "registered-models/update", {"description": "x"}),
        ("POST", "registered-models/rename", {"new_name": f"{name}-2"}),
        ("DELETE", "registered-models/delete", {}),
        ("POST", "registered-models/set-tag", {"key": "k", "value": "v"}),
        ("POST", "registered-models/alias", {"alias": "a", "version": "1"}),
        ("POST", "model-versions/create", {"source": "s3://bucket/x"}),
        ("POST", "registered-models/get-latest-versions", {}),
    ):
        given = {"name": name, **fields}
        answer = api.send(method, path, json=given)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    query = {"name": name, "alias": "a"}
    api.refused("GET", "registered-models/alias", "RESOURCE_DOES_NOT_EXIST", 404, params=query)


def test_a_description_is_changed_and_emptied(api: Api, model: str) -> None:
    before = get(api, model)
    time.sleep(0.01)
    told = api.patch("registered-models/update", name=model, description="new")["registered_model"]
    assert told["description"] == "new"
    assert get(api, model)["description"] == "new"
    assert get(api, model)["last_updated_timestamp"] > before["last_updated_timestamp"]
    api.patch("registered-models/update", name=model, description="")
    assert get(api, model).get("description", "") == ""


def test_a_rename_carries_everything(api: Api, model: str) -> None:
    add(api, model, tags=[{"key": "vk", "value": "vv"}])
    api.post("registered-models/set-tag", name=model, key="k", value="v")
    api.post("registered-models/alias", name=model, alias="champion", version="1")
    new = f"{model}-2"
    assert api.post("registered-models/rename", name=model, new_name=new)["registered_model"]["name"] == new
    api.refused("GET", "registered-models/get", "RESOURCE_DOES_NOT_EXIST", 404, params={"name": model})
    told = get(api, new)
    assert told["tags"] == [{"key": "k", "value": "v"}]
    assert told["aliases"] == [{"alias": "champion", "version": "1"}]
    held = version(api, new, 1)
    assert held["tags"] == [{"key": "vk", "value": "vv"}] and held["aliases"] == ["champion"]
    told = api.get("registered-models/alias", name=new, alias="champion")
    assert told["model_version"]["version"] == "1"


def test_a_new_name_must_be_free(api: Api, model: str) -> None:
    other = f"{model}-2"
    api.post("registered-models/create", name=other)
    fields = {"name": model, "new_name": other}
    words = f"Registered Model (name={other}) already exists"
    api.refused("POST", "registered-models/rename", "RESOURCE_ALREADY_EXISTS", 400, words, json=fields)


def test_a_deleted_model_leaves_its_name(api: Api, model: str) -> None:
    add(api, model)
    assert api.delete("registered-models/delete", name=model) == {}
    query = {"name": model, "version": "1"}
    api.refused("GET", "model-versions/get", "RESOURCE_DOES_NOT_EXIST", 404, params=query)
    api.post("registered-models/create", name=model)
    assert add(api, model)["version"] == "1"


def test_tags_of_a_model(api: Api, model: str) -> None:
    for value in ("one", "two", ""):
        assert api.post("registered-models/set-tag", name=model, key="k", value=value) == {}
        assert get(api, model)["tags"] == [{"key": "k", "value": value}]
    assert api.delete("registered-models/delete-tag", name=model, key="k") == {}
    assert "tags" not in get(api, model)
    assert api.delete("registered-models/delete-tag", name=model, key="k") == {}


def test_a_new_version_is_told_whole(api: Api, model: str, run: str) -> None:
    made = add(
        api,
        model,
        run_id=run,
        run_link="https://host/run",
        description="what it is",
        tags=[{"key": "k", "value": "v"}],
    )
    assert isinstance(made["creation_timestamp"], int)
    expected = {
        "name": model,
        "version": "1",
        "source": "s3://bucket/model",
        "run_id": run,
        "run_link": "https://host/run",
        "description": "what it is",
        "current_stage": "None",
        "status": "READY",
        "tags": [{"key": "k", "value": "v"}],
    }
    for told in (made, version(api, model, 1), version(api, model, "1")):
        assert {key: value for key, value in told.items() if key in expected} == expected
        assert told["last_updated_timestamp"] == told["creation_timestamp"] == made["creation_timestamp"]
    assert get(api, model)["latest_versions"] == [version(api, model, 1)]


def test_versions_count_up_and_are_never_used_again(api: Api, model: str) -> None:
    assert [add(api, model)["version"] for _ in range(3)] == ["1", "2", "3"]
    assert api.delete("model-versions/delete", name=model, version="3") == {}
    assert api.delete("model-versions/delete", name=model, version="1") == {}
    assert add(api, model)["version"] == "4"
    found = api.get("model-versions/search", filter=f"name = '{model}'")["model_versions"]
    assert [held["version"] for held in found] == ["4", "2"]


def test_a_new_version_touches_its_model(api: Api, model: str) -> None:
    before = get(api, model)["last_updated_timestamp"]
    time.sleep(0.01)
    add(api, model)
    after = get(api, model)["last_updated_timestamp"]
    assert after > before
    time.sleep(0.01)
    api.patch("model-versions/update", name=model, version="1", description="new")
    assert get(api, model)["last_updated_timestamp"] == after
    assert version(api, model, 1)["last_updated_timestamp"] > after
    api.delete("model-versions/delete", name=model, version="1")
    assert get(api, model)["last_updated_timestamp"] > after


def test_a_version_that_is_not_there(api: Api, model: str) -> None:
    words = f"Model Version (name={model}, version=7) not found"
    query = {"name": model, "version": "7"}
    api.refused("GET", "model-versions/get", "RESOURCE_DOES_NOT_EXIST", 404, words, params=query)
    api.refused("GET", "model-versions/get-download-uri", "RESOURCE_DOES_NOT_EXIST", 404, words, params=query)
    for method, path, fields in (
        ("PATCH", "model-versions/update", {"description": "x"}),
        ("DELETE", "model-versions/delete", {}),
        ("POST", "model-versions/transition-stage", {"stage": "Staging", "archive_existing_versions": False}),
        ("POST", "model-versions/set-tag", {"key": "k", "value": "v"}),
        ("DELETE", "model-versions/delete-tag", {"key": "k"}),
        ("POST", "registered-models/alias", {"alias": "a"}),
    ):
        api.refused(method, path, "RESOURCE_DOES_NOT_EXIST", 404, json={**query, **fields})


def test_a_version_is_a_number(api: Api, model: str) -> None:
    query = {"name": model, "version": "something not correct"}
    words = "Parameter 'version' must be an integer, got 'something not correct'."
    api.refused("GET", "model-versions/get", "INVALID_PARAMETER_VALUE", 400, words, params=query)


def test_tags_of_a_version(api: Api, model: str) -> None:
    add(api, model)
    for value in ("one", "two", ""):
        assert api.post("model-versions/set-tag", name=model, version="1", key="k", value=value) == {}
        assert version(api, model, 1)["tags"] == [{"key": "k", "value": value}]
    assert api.delete("model-versions/delete-tag", name=model, version="1", key="k") == {}
    assert "tags" not in version(api, model, 1)


def test_the_place_of_a_version_is_its_source(api: Api, model: str) -> None:
    add(api, model)
    told = api.get("model-versions/get-download-uri", name=model, version="1")
    assert told == {"artifact_uri": "s3://bucket/model"}


def test_the_place_of_a_copy_is_that_of_the_first(api: Api, model: str) -> None:
    add(api, model)
    add(api, model, source=f"models:/{model}/1")
    assert version(api, model, 2)["source"] == f"models:/{model}/1"
    told = api.get("model-versions/get-download-uri", name=model, version="2")
    assert told == {"artifact_uri": "s3://bucket/model"}


def test_stages_move_and_archive(api: Api, model: str) -> None:
    def stage(number: int) -> str:
        return str(version(api, model, number)["current_stage"])

    def move(number: int, to: str, archive: bool = False) -> dict[str, Any]:
        fields = {"name": model, "version": str(number), "stage": to, "archive_existing_versions": archive}
        told: dict[str, Any] = api.post("model-versions/transition-stage", fields)["model_version"]
        return told

    for _ in range(3):
        add(api, model)
    assert move(1, "Staging")["current_stage"] == "Staging"
    move(2, "staging")
    assert [stage(i) for i in (1, 2, 3)] == ["Staging", "Staging", "None"]
    move(3, "STAGING", archive=True)
    assert [stage(i) for i in (1, 2, 3)] == ["Archived", "Archived", "Staging"]
    fields = {"name": model, "version": "1", "stage": "Nowhere", "archive_existing_versions": False}
    words = "Invalid Model Version stage"
    api.refused("POST", "model-versions/transition-stage", "INVALID_PARAMETER_VALUE", 400, words, json=fields)


def test_the_latest_versions_are_one_for_each_stage(api: Api, model: str) -> None:
    stages = ["Archived", "Production", "Archived", "Production", "Staging", "Staging", "None"]
    for number, stage in enumerate(stages, start=1):
        add(api, model)
        if stage != "None":
            fields = {"name": model, "version": str(number), "stage": stage, "archive_existing_versions": False}
            api.post("model-versions/transition-stage", fields)

    def latest(**fields: Any) -> dict[str, str]:
        told = api.post("registered-models/get-latest-versions", name=model, **fields)["model_versions"]
        return {held["current_stage"]: held["version"] for held in told}

    everything = {"Archived": "3", "Production": "4", "Staging": "6", "None": "7"}
    assert latest() == everything
    assert latest(stages=[]) == everything
    assert latest(stages=["None"]) == {"None": "7"}
    assert latest(stages=["None", "staging"]) == {"None": "7", "Staging": "6"}
    told = api.get("registered-models/get-latest-versions", name=model, stages=["Production", "Staging"])
    assert sorted(held["version"] for held in told["model_versions"]) == ["4", "6"]
    assert {held["current_stage"]: held["version"] for held in get(api, model)["latest_versions"]} == everything
    fields = {"name": model, "stages": ["Nowhere"]}
    api.refused("POST", "registered-models/get-latest-versions", "INVALID_PARAMETER_VALUE", 400, json=fields)


def test_an_alias_is_set_moved_and_deleted(api: Api, model: str) -> None:
    for _ in range(2):
        add(api, model)
    assert api.post("registered-models/alias", name=model, alias="champion", version="1") == {}
    assert get(api, model)["aliases"] == [{"alias": "champion", "version": "1"}]
    assert version(api, model, 1)["aliases"] == ["champion"]
    told = api.get("registered-models/alias", name=model, alias="champion")["model_version"]
    assert told == version(api, model, 1)
    api.post("registered-models/alias", name=model, alias="champion", version="2")
    assert "aliases" not in version(api, model, 1) and version(api, model, 2)["aliases"] == ["champion"]
    assert api.delete("registered-models/alias", name=model, alias="champion") == {}
    assert "aliases" not in get(api, model) and "aliases" not in version(api, model, 2)
    query = {"name": model, "alias": "champion"}
    words = "Registered model alias champion not found"
    api.refused("GET", "registered-models/alias", "INVALID_PARAMETER_VALUE", 400, words, params=query)
    assert api.delete("registered-models/alias", name=model, alias="champion") == {}


def test_an_alias_goes_with_its_version(api: Api, model: str) -> None:
    add(api, model)
    api.post("registered-models/alias", name=model, alias="champion", version="1")
    api.delete("model-versions/delete", name=model, version="1")
    assert "aliases" not in get(api, model)
    query = {"name": model, "alias": "champion"}
    api.refused("GET", "registered-models/alias", "INVALID_PARAMETER_VALUE", 400, params=query)


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V12", "1", "a b", "a/b", "", "x" * 256])
def test_aliases_that_mean_something_else_are_refused(api: Api, model: str, alias: str) -> None:
    add(api, model)
    fields = {"name": model, "alias": alias, "version": "1"}
    if alias == "1":  # numbers are fine
        api.post("registered-models/alias", fields)
        return
    api.refused("POST", "registered-models/alias", "INVALID_PARAMETER_VALUE", 400, json=fields)


def test_latest_is_the_newest_version(api: Api, model: str) -> None:
    for _ in range(2):
        add(api, model)
    told = api.get("registered-models/alias", name=model, alias="latest")["model_version"]
    assert told["version"] == "2"


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
        "s3://bucket/x/%252e%252e/y",
    ],
)
def test_sources_that_lead_elsewhere_are_refused(api: Api, model: str, run: str, source: str) -> None:
    fields = {"name": model, "source": source, "run_id": run}
    api.refused("POST", "model-versions/create", "INVALID_PARAMETER_VALUE", 400, json=fields)


@pytest.mark.parametrize("source", ["/tmp", "file:///tmp", "/etc/passwd", "relative/path"])
def test_local_folders_are_no_source(api: Api, model: str, run: str, source: str) -> None:
    for fields in ({}, {"run_id": run}):
        given = {"name": model, "source": source, **fields}
        words = "To use a local path as a model version"
        api.refused("POST", "model-versions/create", "INVALID_PARAMETER_VALUE", 400, words, json=given)


def test_a_source_within_its_run_is_fine(api: Api, model: str, experiment: str, run: str) -> None:
    root = f"mlflow-artifacts:/{experiment}/{run}/artifacts"
    for source in (root, f"{root}/model", f"runs:/{run}/model", "s3://bucket/x", "dbfs:/x/y", "gs://b/x/..../y"):
        assert add(api, model, source=source, run_id=run)["source"] == source


def test_a_version_needs_a_source(api: Api, model: str) -> None:
    words = "Missing value for required parameter 'source'"
    api.refused("POST", "model-versions/create", "INVALID_PARAMETER_VALUE", 400, words, json={"name": model})


def test_models_are_searched(api: Api, name: str) -> None:
    for suffix in ("a1", "a2", "B1"):
        api.post("registered-models/create", name=name + suffix, tags=[{"key": "kind", "value": suffix[0]}])

    def find(filter: str = "", **query: Any) -> list[str]:
        whole = f"name LIKE '{name}%'" + (f" AND {filter}" if filter else "")
        found = api.get("registered-models/search", filter=whole, **query)
        return [held["name"].removeprefix(name) for held in found.get("registered_models", [])]

    assert find() == sorted(["a1", "a2", "B1"])
    assert find(order_by=["name DESC"]) == sorted(["a1", "a2", "B1"], reverse=True)
    assert find(order_by=["last_updated_timestamp ASC"]) == ["a1", "a2", "B1"]
    assert find(f"name = '{name}a1'") == ["a1"]
    assert find(f"name != '{name}a1'") == sorted(["a2", "B1"])
    assert find("name LIKE '%1'") == sorted(["a1", "B1"])
    assert find("name ILIKE '%b1'") == ["B1"]
    assert find("name LIKE '%b1'") == []
    assert find("tags.kind = 'a'") == ["a1", "a2"]
    assert find("tag.`kind` != 'a'") == ["B1"]
    assert find("tags.kind ILIKE 'b'") == ["B1"]
    assert api.get("registered-models/search", filter=f"name = '{name}'") == {}


def test_models_come_in_pages(api: Api, name: str) -> None:
    names = [f"{name}{i:02}" for i in range(7)]
    for held in names:
        api.post("registered-models/create", name=held)
    query: dict[str, Any] = {"filter": f"name LIKE '{name}%'", "max_results": 3}
    pages = []
    while True:
        page = api.get("registered-models/search", **query)
        pages.append([held["name"] for held in page["registered_models"]])
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]
    assert pages == [names[:3], names[3:6], names[6:]]


def test_versions_are_searched(api: Api, name: str, run: str) -> None:
    for suffix in "ab":
        api.post("registered-models/create", name=name + suffix)
    for suffix, fields in (
        ("a", {"run_id": run}),
        ("b", {"tags": [{"key": "k", "value": "V"}]}),
        ("a", {"source": "s3://bucket/other"}),
    ):
        add(api, name + suffix, **{"source": f"s3://bucket/{name}", **fields})
        time.sleep(0.005)

    def find(filter: str, **query: Any) -> list[str]:
        found = api.get("model-versions/search", filter=filter, **query).get("model_versions", [])
        return [held["name"].removeprefix(name) + held["version"] for held in found]

    mine = f"name LIKE '{name}%'"
    assert find(mine) == ["a2", "b1", "a1"]
    assert find(mine, order_by=["name ASC"]) == ["a2", "a1", "b1"]
    assert find(mine, order_by=["name DESC"]) == ["b1", "a2", "a1"]
    assert find(mine, order_by=["version_number DESC"]) == ["a2", "a1", "b1"]
    assert find(mine, order_by=["version_number ASC", "name DESC"]) == ["b1", "a1", "a2"]
    assert find(mine, order_by=["creation_timestamp ASC"]) == ["a1", "b1", "a2"]
    assert find(f"name = '{name}a'") == ["a2", "a1"]
    assert find(f"run_id = '{run}'") == ["a1"]
    assert find(f"name ILIKE '{name.upper()}A'") == ["a2", "a1"]
    assert find(f"source_path = 's3://bucket/{name}'") == ["b1", "a1"]
    assert find(f"{mine} AND version_number > 1") == ["a2"]
    assert find(f"{mine} AND version_number = '2'") == ["a2"]
    assert find(f"{mine} AND tags.k = 'V'") == ["b1"]
    assert find(f"{mine} AND tags.`k` ILIKE 'v'") == ["b1"]
    assert find(f"run_id IN ('{run}', 'x')") == ["a1"]
    assert find(f"name = '{name}'") == []


def test_versions_come_in_pages(api: Api, model: str) -> None:
    for _ in range(5):
        add(api, model)
        time.sleep(0.003)
    query: dict[str, Any] = {"filter": f"name = '{model}'", "max_results": 2}
    pages = []
    while True:
        page = api.get("model-versions/search", **query)
        pages.append([held["version"] for held in page["model_versions"]])
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]
    assert pages == [["5", "4"], ["3", "2"], ["1"]]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "nothing = 'x'"},
        {"filter": "name = "},
        {"filter": "name = 'x' OR name = 'y'"},
        {"order_by": ["nothing"]},
        {"max_results": 1_000_000},
        {"page_token": "never given out"},
    ],
)
@pytest.mark.parametrize("what", ["registered-models", "model-versions"])
def test_searches_that_cannot_be_read_are_refused(api: Api, what: str, query: dict[str, Any]) -> None:
    api.refused("GET", f"{what}/search", "INVALID_PARAMETER_VALUE", 400, params=query)


def test_prompts_stay_out_of_sight_unless_asked_for(api: Api, name: str) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    api.post("registered-models/create", name=f"{name}-prompt", tags=tags)
    api.post("registered-models/create", name=f"{name}-model")
    mine = f"name LIKE '{name}%'"

    def find(filter: str) -> list[str]:
        found = api.get("registered-models/search", filter=filter).get("registered_models", [])
        return [held["name"].removeprefix(name) for held in found]

    assert find(mine) == ["-model"]
    assert find(f"{mine} AND tag.`mlflow.prompt.is_prompt` = 'true'") == ["-prompt"]
    assert find(f"{mine} AND tag.`mlflow.prompt.is_prompt` != 'true'") == ["-model"]
