"""Experiments in the bare protocol."""

import time
from typing import Any

import pytest
from rest import Api, read


def find(api: Api, name: str, **fields: Any) -> list[str]:
    """The names below a prefix that a search finds, in its order, without the prefix."""
    condition = f"name LIKE '{name}%'"
    given = fields.pop("filter", "")
    fields["filter"] = f"{condition} AND {given}" if given else condition
    found = api.post("experiments/search", max_results=100, **fields)
    return [held["name"].removeprefix(name) for held in found.get("experiments", [])]


def test_a_new_experiment_is_told_whole(api: Api, name: str) -> None:
    began = time.time() * 1000 - 1000
    made = api.post("experiments/create", name=name, tags=[{"key": "team", "value": "risk"}])
    assert set(made) == {"experiment_id"}
    assert made["experiment_id"].isdigit()
    told = api.get("experiments/get", experiment_id=made["experiment_id"])["experiment"]
    assert told.pop("creation_time") >= began
    assert told.pop("last_update_time") >= began
    assert told.pop("artifact_location") == f"mlflow-artifacts:/{made['experiment_id']}"
    told.pop("workspace", None)  # since MLflow 3.10
    assert told == {
        "experiment_id": made["experiment_id"],
        "name": name,
        "lifecycle_stage": "active",
        "tags": [{"key": "team", "value": "risk"}],
    }


def test_times_are_numbers(api: Api, experiment: str) -> None:
    told = api.get("experiments/get", experiment_id=experiment)["experiment"]
    assert isinstance(told["creation_time"], int) and isinstance(told["last_update_time"], int)


def test_an_experiment_without_tags_says_nothing_of_tags(api: Api, experiment: str) -> None:
    assert "tags" not in api.get("experiments/get", experiment_id=experiment)["experiment"]


def test_the_default_experiment_is_number_zero(api: Api) -> None:
    told = api.get("experiments/get", experiment_id="0")["experiment"]
    assert told["name"] == "Default"
    assert told["experiment_id"] == "0"


@pytest.mark.parametrize("prefix", ["/api/2.0/mlflow", "/ajax-api/2.0/mlflow"])
def test_both_prefixes_answer_alike(api: Api, experiment: str, prefix: str) -> None:
    told = api.get(f"{prefix}/experiments/get", experiment_id=experiment)["experiment"]
    assert told["experiment_id"] == experiment


def test_an_experiment_is_found_by_name(api: Api, experiment: str, name: str) -> None:
    told = api.get("experiments/get-by-name", experiment_name=name)["experiment"]
    assert told["experiment_id"] == experiment


def test_names_may_hold_any_text(api: Api, name: str) -> None:
    odd = f"{name} Größe/模型 'x' \"y\" %_ 🚰"
    made = api.post("experiments/create", name=odd)["experiment_id"]
    assert api.get("experiments/get", experiment_id=made)["experiment"]["name"] == odd
    assert api.get("experiments/get-by-name", experiment_name=odd)["experiment"]["experiment_id"] == made


def test_a_name_that_is_not_there_is_a_missing_resource(api: Api, name: str) -> None:
    api.refused(
        "GET",
        "experiments/get-by-name",
        "RESOURCE_DOES_NOT_EXIST",
        404,
        f"Could not find experiment with name '{name}'",
        params={"experiment_name": name},
    )


def test_an_id_that_is_not_there_is_a_missing_resource(api: Api) -> None:
    api.refused(
        "GET",
        "experiments/get",
        "RESOURCE_DOES_NOT_EXIST",
        404,
        "No Experiment with id=987654321 exists",
        params={"experiment_id": "987654321"},
    )


@pytest.mark.parametrize("wrong", ["a-name", "1.5", "f" * 32])
def test_an_id_is_a_number(api: Api, wrong: str) -> None:
    words = f"Invalid experiment ID '{wrong}'. Experiment ID must be a valid integer"
    fields = {"experiment_id": wrong}
    api.refused("GET", "experiments/get", "INVALID_PARAMETER_VALUE", 400, words, params=fields)
    api.refused("POST", "runs/create", "INVALID_PARAMETER_VALUE", 400, words, json=fields)
    api.refused("POST", "runs/search", "INVALID_PARAMETER_VALUE", 400, words, json={"experiment_ids": [wrong]})


def test_a_name_is_given_once(api: Api, experiment: str, name: str) -> None:
    api.refused("POST", "experiments/create", "RESOURCE_ALREADY_EXISTS", 400, name, json={"name": name})


def test_a_deleted_experiment_keeps_its_name(api: Api, experiment: str, name: str) -> None:
    api.post("experiments/delete", experiment_id=experiment)
    api.refused("POST", "experiments/create", "RESOURCE_ALREADY_EXISTS", 400, json={"name": name})
    assert api.get("experiments/get-by-name", experiment_name=name)["experiment"]["lifecycle_stage"] == "deleted"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Missing value for required parameter 'name'."),
        ({"name": ""}, "Missing value for required parameter 'name'."),
        ({"name": None}, "Missing value for required parameter 'name'."),
        ({"name": 123}, "Invalid value 123 for parameter 'name'"),
        ({"name": "x", "artifact_location": 9.0}, "Invalid value 9.0 for parameter 'artifact_location'"),
        ({"name": "x", "tags": "5"}, "Invalid value \"5\" for parameter 'tags'"),
    ],
)
def test_a_bad_request_names_the_parameter_and_the_value(api: Api, fields: dict[str, Any], words: str) -> None:
    api.refused("POST", "experiments/create", "INVALID_PARAMETER_VALUE", 400, words, json=fields)


def test_an_experiment_is_renamed(api: Api, experiment: str, name: str) -> None:
    before = api.get("experiments/get", experiment_id=experiment)["experiment"]
    time.sleep(0.01)
    assert api.post("experiments/update", experiment_id=experiment, new_name=f"{name}-2") == {}
    after = api.get("experiments/get", experiment_id=experiment)["experiment"]
    assert after["name"] == f"{name}-2"
    assert after["last_update_time"] > before["last_update_time"]
    assert after["artifact_location"] == before["artifact_location"]


def test_a_new_name_must_be_free(api: Api, experiment: str, name: str) -> None:
    other = api.post("experiments/create", name=f"{name}-2")["experiment_id"]
    fields = {"experiment_id": other, "new_name": name}
    answer = api.send("POST", "experiments/update", json=fields)
    assert answer.status_code == 400
    assert api.get("experiments/get", experiment_id=other)["experiment"]["name"] == f"{name}-2"


def test_deleting_and_restoring_change_the_stage(api: Api, experiment: str) -> None:
    def stage() -> str:
        return str(api.get("experiments/get", experiment_id=experiment)["experiment"]["lifecycle_stage"])

    assert api.post("experiments/delete", experiment_id=experiment) == {}
    assert stage() == "deleted"
    assert api.post("experiments/restore", experiment_id=experiment) == {}
    assert stage() == "active"


@pytest.mark.parametrize("verb", ["delete", "restore"])
def test_what_is_not_there_cannot_change_its_stage(api: Api, verb: str) -> None:
    fields = {"experiment_id": "987654321"}
    api.refused("POST", f"experiments/{verb}", "RESOURCE_DOES_NOT_EXIST", 404, json=fields)


def test_a_deleted_experiment_cannot_be_deleted_again(api: Api, experiment: str) -> None:
    api.post("experiments/delete", experiment_id=experiment)
    api.refused("POST", "experiments/delete", "RESOURCE_DOES_NOT_EXIST", 404, json={"experiment_id": experiment})


def test_a_deleted_experiment_takes_no_runs_and_no_tags(api: Api, experiment: str) -> None:
    api.post("experiments/delete", experiment_id=experiment)
    api.refused("POST", "runs/create", "INVALID_PARAMETER_VALUE", 400, json={"experiment_id": experiment})
    fields = {"experiment_id": experiment, "key": "k", "value": "v"}
    api.refused("POST", "experiments/set-experiment-tag", "INVALID_PARAMETER_VALUE", 400, json=fields)


def test_tags_are_set_overwritten_and_deleted(api: Api, experiment: str) -> None:
    def tags() -> dict[str, str]:
        told = api.get("experiments/get", experiment_id=experiment)["experiment"]
        return {tag["key"]: tag.get("value", "") for tag in told.get("tags", [])}

    for value in ("one", "two\nlines", ""):
        assert api.post("experiments/set-experiment-tag", experiment_id=experiment, key="k", value=value) == {}
        assert tags() == {"k": value}
    assert api.post("experiments/delete-experiment-tag", experiment_id=experiment, key="k") == {}
    assert tags() == {}


def test_a_tag_that_is_not_there_cannot_be_deleted(api: Api, experiment: str) -> None:
    fields = {"experiment_id": experiment, "key": "nothing"}
    words = f"No tag with name: nothing in experiment with id {experiment}"
    api.refused("POST", "experiments/delete-experiment-tag", "RESOURCE_DOES_NOT_EXIST", 404, words, json=fields)


def test_setting_a_tag_needs_a_key(api: Api, experiment: str) -> None:
    words = "Missing value for required parameter 'key'."
    for path in ("set-experiment-tag", "delete-experiment-tag"):
        fields = {"experiment_id": experiment}
        api.refused("POST", f"experiments/{path}", "INVALID_PARAMETER_VALUE", 400, words, json=fields)


def test_search_finds_by_name_and_tag(api: Api, name: str) -> None:
    for suffix, value in (("/a", "value"), ("/ab", "vaLue"), ("/Abc", "")):
        tags = [{"key": "key", "value": value}] if value else []
        api.post("experiments/create", name=name + suffix, tags=tags)
        time.sleep(0.005)
    assert find(api, name) == ["/Abc", "/ab", "/a"]
    assert find(api, name, order_by=["name"]) == sorted(["/Abc", "/ab", "/a"])
    assert find(api, name, order_by=["name DESC"]) == sorted(["/Abc", "/ab", "/a"], reverse=True)
    assert find(api, name, order_by=["creation_time ASC"]) == ["/a", "/ab", "/Abc"]
    assert find(api, name, filter=f"attribute.name = '{name}/a'") == ["/a"]
    assert find(api, name, filter=f"name != '{name}/a'") == ["/Abc", "/ab"]
    assert find(api, name, filter=f"name LIKE '{name}/a%'") == ["/ab", "/a"]
    assert find(api, name, filter=f"name ILIKE '{name}/a%'") == ["/Abc", "/ab", "/a"]
    assert find(api, name, filter="tag.key = 'value'") == ["/a"]
    assert find(api, name, filter="tags.key != 'value'") == ["/ab"]
    assert find(api, name, filter="tags.`key` ILIKE '%alu%'") == ["/ab", "/a"]
    assert find(api, name, filter="tags.key = 'value' AND name LIKE '%/ab'") == []


def test_search_orders_by_creation_unless_told_otherwise(api: Api, name: str) -> None:
    ids = []
    for suffix in "abc":
        ids.append(api.post("experiments/create", name=name + suffix)["experiment_id"])
        time.sleep(0.005)
    api.post("experiments/update", experiment_id=ids[0], new_name=f"{name}d")
    assert find(api, name, order_by=["last_update_time DESC"]) == ["d", "c", "b"]
    assert find(api, name) == ["c", "b", "d"]


def test_search_looks_at_what_is_asked_for(api: Api, name: str) -> None:
    ids = {suffix: api.post("experiments/create", name=name + suffix)["experiment_id"] for suffix in "ab"}
    api.post("experiments/delete", experiment_id=ids["b"])
    assert find(api, name) == ["a"]
    assert find(api, name, view_type="ACTIVE_ONLY") == ["a"]
    assert find(api, name, view_type="DELETED_ONLY") == ["b"]
    assert sorted(find(api, name, view_type="ALL")) == ["a", "b"]


def test_search_comes_in_pages(api: Api, name: str) -> None:
    for suffix in "abcde":
        api.post("experiments/create", name=name + suffix)
    fields: dict[str, Any] = {"filter": f"name LIKE '{name}%'", "order_by": ["name"], "max_results": 2}
    pages = []
    while True:
        page = api.post("experiments/search", fields)
        pages.append([held["name"].removeprefix(name) for held in page["experiments"]])
        if "next_page_token" not in page:
            break
        fields["page_token"] = page["next_page_token"]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_search_may_be_a_get(api: Api, experiment: str, name: str) -> None:
    found = api.get("experiments/search", max_results=5, filter=f"name = '{name}'", view_type="ALL", order_by=["name"])
    assert [held["experiment_id"] for held in found["experiments"]] == [experiment]


def test_an_empty_search_is_an_empty_object(api: Api, name: str) -> None:
    assert api.post("experiments/search", max_results=5, filter=f"name = '{name}'") == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"filter": "name = "},
        {"filter": "nothing = 'x'"},
        {"filter": "name = 'x' OR name = 'y'"},
        {"filter": "params.x = 'y'"},
        {"max_results": 0},
        {"max_results": -1},
        {"max_results": 1_000_000},
        {"order_by": ["nothing"]},
        {"page_token": "never given out"},
    ],
)
def test_search_refuses_what_it_cannot_read(api: Api, fields: dict[str, Any]) -> None:
    api.refused("POST", "experiments/search", "INVALID_PARAMETER_VALUE", 400, json={"max_results": 10, **fields})


def test_a_location_of_ones_own_is_kept(api: Api, name: str) -> None:
    made = api.post("experiments/create", name=name, artifact_location="s3://bucket/place")["experiment_id"]
    assert api.get("experiments/get", experiment_id=made)["experiment"]["artifact_location"] == "s3://bucket/place"
    run = api.post("runs/create", experiment_id=made)["run"]["info"]
    assert run["artifact_uri"] == f"s3://bucket/place/{run['run_id']}/artifacts"


def test_unknown_paths_are_not_found(api: Api) -> None:
    for path in ("experiments/nothing", "/api/2.0/preview/mlflow/experiments/search", "/api/9.0/mlflow/runs/create"):
        assert api.send("POST", path, json={}).status_code == 404


def test_unknown_fields_are_passed_over(api: Api, name: str) -> None:
    assert api.post("experiments/create", name=name, a_field_of_tomorrow={"x": [1]})["experiment_id"]


def test_a_body_needs_its_type(api: Api, name: str) -> None:
    body = f'{{"name": "{name}"}}'
    assert api.raw("experiments/create", body, "text/plain").status_code == 400
    read(api.raw("experiments/create", body, "application/json; charset=utf-8"))
