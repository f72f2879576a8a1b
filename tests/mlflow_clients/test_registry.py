"""The registry through `MlflowClient`."""

import time

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


@pytest.fixture
def model(client: MlflowClient, name: str) -> str:
    """The name of a new model."""
    client.create_registered_model(name)
    return name


def add(client: MlflowClient, model: str, source: str = "s3://bucket/model", **fields: object) -> str:
    """The number of a new version."""
    return str(client.create_model_version(model, source, **fields).version)


def test_a_model_is_made_and_found(client: MlflowClient, name: str) -> None:
    began = int(time.time() * 1000) - 1000
    made = client.create_registered_model(name, {"key": "value", "numeric value": 12345}, "about")
    told = client.get_registered_model(name)
    for held in (made, told):
        assert held.name == name and held.description == "about"
        assert held.tags == {"key": "value", "numeric value": "12345"}
        assert began <= held.creation_timestamp <= held.last_updated_timestamp
    assert told.latest_versions == [] and told.aliases == {}
    assert [held.name for held in client.search_registered_models(f"name = '{name}'")] == [name]


def test_a_model_without_a_description_has_an_empty_one(client: MlflowClient, model: str) -> None:
    assert str(client.get_registered_model(model).description) == ""
    add(client, model)
    assert str(client.get_model_version(model, "1").description) == ""


def test_models_are_searched_in_pages(client: MlflowClient, name: str) -> None:
    names = [f"{name}-{i:02}" for i in range(9)]
    for held in names:
        client.create_registered_model(held)
    found, token = [], None
    while True:
        page = client.search_registered_models(f"name LIKE '{name}-%'", max_results=4, page_token=token)
        found += [held.name for held in page]
        token = page.token
        if not token:
            break
    assert found == names
    assert [held.name for held in client.search_registered_models(f"name ILIKE '{name.upper()}-%8'")] == [names[8]]


def test_a_model_is_renamed_described_and_deleted(client: MlflowClient, model: str) -> None:
    with pytest.raises(MlflowException, match=r"Registered Model .+ already exists"):
        client.create_registered_model(model)
    new = f"{model} 2"
    client.rename_registered_model(model, new)
    with pytest.raises(MlflowException, match=f"Registered Model with name={model} not found"):
        client.get_registered_model(model)
    client.update_registered_model(new, "4th update")
    assert client.get_registered_model(new).description == "4th update"
    client.delete_registered_model(new)
    with pytest.raises(MlflowException, match=r"Registered Model .+ not found"):
        client.get_registered_model(new)
    with pytest.raises(MlflowException, match=r"Registered Model .+ not found"):
        client.rename_registered_model(new, "something else")
    client.create_registered_model(new)


def test_tags_of_models_and_versions(client: MlflowClient, model: str) -> None:
    add(client, model, tags={"first": "1"})
    client.set_registered_model_tag(model, "key", "value")
    client.set_registered_model_tag(model, "number", 12345)
    client.set_registered_model_tag(model, "empty", "")
    client.delete_registered_model_tag(model, "key")
    assert client.get_registered_model(model).tags == {"number": "12345", "empty": ""}
    client.set_model_version_tag(model, "1", "key", "value")
    client.set_model_version_tag(model, "1", "empty", "")
    client.delete_model_version_tag(model, "1", "key")
    assert client.get_model_version(model, "1").tags == {"first": "1", "empty": ""}


def test_versions_are_made_and_found(client: MlflowClient, model: str, run: str) -> None:
    first = client.create_model_version(model, "s3://bucket/a", run, {"n": 1}, description="about")
    assert first.version == "1" and first.name == model and first.tags == {"n": "1"}
    told = client.get_model_version(model, "1")
    assert told.run_id == run and told.source == "s3://bucket/a" and told.description == "about"
    assert told.status == "READY" and told.current_stage == "None"
    assert client.get_registered_model(model).latest_versions == [told]
    time.sleep(0.005)
    assert add(client, model, "s3://bucket/b") == "2"
    versions = client.search_model_versions(f"name = '{model}'")
    assert [held.version for held in versions] == ["2", "1"]
    assert [held.version for held in client.search_model_versions(f"run_id = '{run}'")] == ["1"]
    assert client.get_model_version_download_uri(model, "1") == "s3://bucket/a"
    with pytest.raises(MlflowException, match="must be an integer"):
        client.get_model_version(model, "something not correct")


def test_versions_are_described_and_deleted(client: MlflowClient, model: str) -> None:
    for _ in range(3):
        add(client, model)
    client.update_model_version(model, "1", "This is a test model")
    assert client.get_model_version(model, "1").description == "This is a test model"
    client.delete_model_version(model, "1")
    for call in (
        lambda: client.delete_model_version(model, "1"),
        lambda: client.update_model_version(model, "1", "x"),
        lambda: client.transition_model_version_stage(model, "1", "Staging"),
        lambda: client.get_model_version(model, "1"),
    ):
        with pytest.raises(MlflowException, match=r"Model Version .+ not found"):
            call()
    client.delete_model_version(model, "3")
    assert add(client, model) == "4"
    assert {held.version for held in client.search_model_versions(f"name = '{model}'")} == {"2", "4"}


def test_stages(client: MlflowClient, model: str) -> None:
    stages = ["Archived", "Production", "Archived", "Production", "Staging", "Staging", "None"]
    for number, stage in enumerate(stages, start=1):
        add(client, model)
        if stage != "None":
            told = client.transition_model_version_stage(model, str(number), stage)
            assert told.current_stage == stage

    def latest(stages: list[str] | None) -> dict[str, str]:
        return {held.current_stage: held.version for held in client.get_latest_versions(model, stages)}

    assert latest(["None"]) == {"None": "7"}
    assert latest(["None", "Staging"]) == {"None": "7", "Staging": "6"}
    assert latest(None) == latest([]) == {"Production": "4", "Staging": "6", "Archived": "3", "None": "7"}
    client.transition_model_version_stage(model, "7", "Production", archive_existing_versions=True)
    assert latest(["Production", "Archived"]) == {"Production": "7", "Archived": "4"}


def test_aliases(client: MlflowClient, model: str) -> None:
    for _ in range(2):
        add(client, model)
    client.set_registered_model_alias(model, "test_alias", "1")
    assert client.get_registered_model(model).aliases == {"test_alias": "1"}
    assert client.get_model_version(model, "1").aliases == ["test_alias"]
    assert client.get_model_version_by_alias(model, "test_alias") == client.get_model_version(model, "1")
    client.set_registered_model_alias(model, "test_alias", "2")
    assert client.get_model_version_by_alias(model, "test_alias").version == "2"
    assert client.get_model_version(model, "1").aliases == []
    client.delete_registered_model_alias(model, "test_alias")
    assert client.get_registered_model(model).aliases == {}
    with pytest.raises(MlflowException, match="alias test_alias not found") as refused:
        client.get_model_version_by_alias(model, "test_alias")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match="reserved"):
        client.set_registered_model_alias(model, "latest", "1")
    with pytest.raises(MlflowException, match="reserved"):
        client.set_registered_model_alias(model, "v12", "1")


def test_a_version_is_copied(client: MlflowClient, model: str, run: str) -> None:
    source = client.create_model_version(model, "s3://bucket/a", run, {"hello": "world"}, description="dummy")
    client.set_registered_model_alias(model, "champion", "1")
    copy = client.copy_model_version(f"models:/{model}@champion", f"{model}-copy")
    assert copy.name == f"{model}-copy" and copy.version == "1"
    told = client.get_model_version(f"{model}-copy", "1")
    assert told.source == f"models:/{model}/1"
    assert told.description == "dummy" and told.run_id == run and told.tags == {"hello": "world"}
    assert client.get_model_version_download_uri(f"{model}-copy", "1") == source.source


def test_versions_are_searched_in_order_and_in_pages(client: MlflowClient, name: str) -> None:
    made = []
    for suffix in ("a", "b", "a", "c"):
        if not client.search_registered_models(f"name = '{name}{suffix}'"):
            client.create_registered_model(name + suffix)
        made.append(suffix + add(client, name + suffix))
        time.sleep(0.005)

    def find(**fields: object) -> list[str]:
        found = client.search_model_versions(f"name LIKE '{name}%'", **fields)
        return [held.name.removeprefix(name) + held.version for held in found]

    assert find() == made[::-1]
    assert find(order_by=["name DESC"]) == ["c1", "b1", "a2", "a1"]
    assert find(order_by=["version_number DESC"]) == ["a2", "a1", "b1", "c1"]
    first = client.search_model_versions(f"name LIKE '{name}%'", max_results=3)
    second = client.search_model_versions(f"name LIKE '{name}%'", max_results=3, page_token=first.token)
    assert len(first) == 3 and len(second) == 1 and not second.token


@pytest.mark.mlflow3
def test_prompts_are_kept_in_the_registry(tracking: str, client: MlflowClient, name: str) -> None:
    genai = mlflow.genai
    first = genai.register_prompt(name, "Hi {{who}}", commit_message="first", tags={"lang": "en"})
    assert first.version == 1
    genai.register_prompt(name, "Hello {{who}}")
    genai.set_prompt_alias(name, "live", 1)
    assert genai.load_prompt(f"prompts:/{name}@live").format(who="you") == "Hi you"
    assert genai.load_prompt(name, version=2).template == "Hello {{who}}"
    assert name in [prompt.name for prompt in genai.search_prompts()]
    assert name not in [model.name for model in client.search_registered_models()]
    genai.set_prompt_tag(name, "team", "risk")
    genai.set_prompt_version_tag(name, 1, "state", "good")
    assert genai.load_prompt(name, version=1).tags["state"] == "good"
    genai.delete_prompt_alias(name, "live")
    client.delete_prompt_version(name, "2")
    assert genai.load_prompt(name, version=2, allow_missing=True) is None
    genai.register_prompt(f"{name}-chat", [{"role": "user", "content": "Hi {{who}}"}])
    assert genai.load_prompt(f"{name}-chat", version=1).format(who="you")[0]["content"] == "Hi you"
