"""MLflow's registry protocol on the wire: shapes, names of errors, sources, searches, and clients at once."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConflictError
from penstock.registry.format.saving import save_model
from server.mlflow.world import World, open_world
from serving.models import LOGISTIC_SAMPLE, make_logistic

MODELS, VERSIONS = "registered-models/", "model-versions/"
SKLEARN = """
flavors:
  python_function:
    loader_module: mlflow.sklearn
  sklearn:
    pickled_model: model.pkl
signature:
  inputs: '[{"type": "long", "name": "age", "required": true}, {"type": "float", "name": "x", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path / "home") as world:
        yield world


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with version 1 of the model churn, which stays as it is."""
    with open_world(tmp_path_factory.mktemp("held")) as world:
        make_model(world, versions=1)
        yield world


@pytest.fixture
def run(world: World) -> Any:
    """A run with nothing in it."""
    return world.services.tracking.create_run("trials")


def make_model(world: World, name: str = "churn", versions: int = 0, **body: Any) -> None:
    world.get("POST", MODELS + "create", {"name": name, **body})
    for number in range(versions):
        world.get("POST", VERSIONS + "create", {"name": name, "source": f"s3://bucket/{number}"})


def make_version(world: World, name: str = "churn", **body: Any) -> Any:
    return world.get("POST", VERSIONS + "create", {"name": name, **body})["model_version"]


def log_file(world: World, home: str, path: str, content: bytes) -> None:
    digest = world.services.objects.put_bytes(content)
    world.services.artifacts.log_file(home, path, digest, len(content))


def test_a_model_looks_as_clients_expect(world: World) -> None:
    tags = [{"key": "k", "value": "old"}, {"key": "k", "value": "v"}]
    made = world.get("POST", MODELS + "create", {"name": "a b", "tags": tags, "description": "what for"})
    now = int(world.clock.now().timestamp() * 1000)
    expected = {
        "name": "a b",
        "creation_timestamp": now,
        "last_updated_timestamp": now,
        "description": "what for",
        "tags": [{"key": "k", "value": "v"}],
    }
    assert made == {"registered_model": expected}
    assert world.get("GET", MODELS + "get", name="a b") == made
    make_model(world, "bare")
    bare = world.get("GET", MODELS + "get", name="bare")["registered_model"]
    assert set(bare) == {"name", "creation_timestamp", "last_updated_timestamp"}


def test_a_version_looks_as_clients_expect(world: World) -> None:
    make_model(world)
    made = make_version(world, source="s3://bucket/x", tags=[{"key": "k", "value": "v"}], run_link="http://ci/7")
    now = int(world.clock.now().timestamp() * 1000)
    assert made == {
        "name": "churn",
        "version": "1",
        "creation_timestamp": now,
        "last_updated_timestamp": now,
        "current_stage": "None",
        "description": "",
        "source": "s3://bucket/x",
        "run_id": "",
        "status": "READY",
        "run_link": "http://ci/7",
        "tags": [{"key": "k", "value": "v"}],
    }
    world.get("POST", MODELS + "alias", {"name": "churn", "alias": "best", "version": "1"})
    found = world.get("GET", VERSIONS + "get", name="churn", version="1")["model_version"]
    assert found == made | {"aliases": ["best"]}
    model = world.get("GET", MODELS + "get", name="churn")["registered_model"]
    assert model["aliases"] == [{"alias": "best", "version": "1"}]
    assert model["latest_versions"] == [found]


def test_what_is_said_of_a_model_changes(world: World) -> None:
    make_model(world, versions=1)
    world.clock.advance(minutes=1)
    changed = world.get("PATCH", MODELS + "update", {"name": "churn", "description": "new"})["registered_model"]
    assert changed["description"] == "new"
    assert changed["last_updated_timestamp"] == changed["creation_timestamp"] + 60_000
    described = world.get("PATCH", VERSIONS + "update", {"name": "churn", "version": "1", "description": "d"})
    assert described["model_version"]["description"] == "d"
    for kind, which in ((MODELS, {"name": "churn"}), (VERSIONS, {"name": "churn", "version": "1"})):
        assert world.get("POST", kind + "set-tag", {**which, "key": "a/b", "value": "1"}) == {}
        assert world.get("POST", kind + "set-tag", {**which, "key": "empty"}) == {}
        (found,) = world.get("GET", kind + "get", **which).values()
        assert found["tags"] == [{"key": "a/b", "value": "1"}, {"key": "empty", "value": ""}]
        for _ in range(2):  # one that is gone is no error
            assert world.get("DELETE", kind + "delete-tag", {**which, "key": "empty"}) == {}


NAMELESS = [
    ("POST", "registered-models/create"),
    ("GET", "registered-models/get"),
    ("PATCH", "registered-models/update"),
    ("POST", "registered-models/rename"),
    ("DELETE", "registered-models/delete"),
    ("POST", "registered-models/alias"),
    ("GET", "registered-models/alias"),
    ("DELETE", "registered-models/alias"),
    ("POST", "registered-models/set-tag"),
    ("DELETE", "registered-models/delete-tag"),
    ("POST", "registered-models/get-latest-versions"),
    ("GET", "registered-models/get-latest-versions"),
    ("POST", "model-versions/create"),
    ("GET", "model-versions/get"),
    ("PATCH", "model-versions/update"),
    ("DELETE", "model-versions/delete"),
    ("GET", "model-versions/get-download-uri"),
    ("POST", "model-versions/set-tag"),
    ("DELETE", "model-versions/delete-tag"),
    ("POST", "model-versions/transition-stage"),
]


@pytest.mark.parametrize(("method", "path"), NAMELESS)
def test_a_missing_name_and_a_missing_model_have_their_own_errors(untouched: World, method: str, path: str) -> None:
    def refuse(given: dict[str, Any]) -> tuple[int, str, str]:
        return untouched.refuse(method, path, **(given if method == "GET" else {"body": given}))

    status, code, told = refuse({})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert told.startswith("Missing value for required parameter 'name'")
    assert refuse({"name": ""})[2].startswith("Missing value for required parameter 'name'")
    if path == "registered-models/create":
        return
    rest = {"version": "1", "key": "k", "alias": "best", "new_name": "x", "source": "s3://b/x", "stage": "None"}
    status, code, told = refuse({"name": "nope", **rest})
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert told.startswith(("Registered Model with name=nope not found", "Model Version (name=nope, version=1) not"))


def test_a_name_is_taken_once(world: World) -> None:
    make_model(world)
    make_model(world, "other")
    for path, body in (("create", {"name": "churn"}), ("rename", {"name": "other", "new_name": "churn"})):
        status, code, told = world.refuse("POST", MODELS + path, body)
        assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")
        assert told.startswith("Registered Model (name=churn) already exists")


def test_sixteen_clients_at_once_make_one_model_and_versions_without_holes(world: World) -> None:
    def create(_: int) -> int:
        return world.ask("POST", MODELS + "create", {"name": "churn"}).status_code

    def register(number: int) -> str:
        found: str = make_version(world, source=f"s3://bucket/{number}")["version"]
        return found

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(16))) == [200] + [400] * 15
        assert sorted(map(int, pool.map(register, range(48)))) == list(range(1, 49))


def test_numbers_are_not_given_twice(world: World) -> None:
    make_model(world, versions=3)
    assert world.get("DELETE", VERSIONS + "delete", {"name": "churn", "version": "3"}) == {}
    told = world.refuse("GET", VERSIONS + "get", name="churn", version="3")
    assert told == (404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=churn, version=3) not found")
    assert make_version(world, source="s3://bucket/x")["version"] == "4"


@pytest.mark.parametrize("version", ["x", "1.5", "", "1_0", "١"])
def test_a_version_is_a_whole_number_in_a_text(held: World, version: str) -> None:
    status, code, told = held.refuse("GET", VERSIONS + "get", name="churn", version=version)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "version" in told


def test_a_rename_carries_everything_and_the_old_name_is_gone(world: World) -> None:
    make_model(world, versions=2, tags=[{"key": "team", "value": "risk"}])
    world.get("POST", MODELS + "alias", {"name": "churn", "alias": "best", "version": "1"})
    renamed = world.get("POST", MODELS + "rename", {"name": "churn", "new_name": "new name"})["registered_model"]
    assert [version["name"] for version in renamed["latest_versions"]] == ["new name"]
    assert (renamed["tags"], renamed["aliases"][0]["alias"]) == ([{"key": "team", "value": "risk"}], "best")
    for path, query in (("get", {}), ("alias", {"alias": "best"})):
        assert world.refuse("GET", MODELS + path, name="churn", **query)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    make_model(world)  # the name is free


@pytest.mark.parametrize(
    ("alias", "said"),
    [("latest", "reserved"), ("LATEST", "reserved"), ("v12", "reserved"), ("a.b", "Invalid alias name"), ("a b", "In")],
)
def test_some_aliases_are_refused(held: World, alias: str, said: str) -> None:
    body = {"name": "churn", "alias": alias, "version": "1"}
    status, code, told = held.refuse("POST", MODELS + "alias", body)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert said in told


def test_aliases_are_set_resolved_and_forgotten(world: World) -> None:
    make_model(world, versions=2)
    for alias, version in (("best", "1"), ("2026", "2"), ("best", "2")):
        assert world.get("POST", MODELS + "alias", {"name": "churn", "alias": alias, "version": version}) == {}
    found = world.get("GET", MODELS + "alias", name="churn", alias="best")["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["2026", "best"])
    assert world.get("GET", MODELS + "alias", name="churn", alias="latest")["model_version"]["version"] == "2"
    for _ in range(2):
        assert world.get("DELETE", MODELS + "alias", {"name": "churn", "alias": "best"}) == {}
    told = world.refuse("GET", MODELS + "alias", name="churn", alias="best")
    assert told == (400, "INVALID_PARAMETER_VALUE", "Registered model alias best not found.")
    missing = {"name": "churn", "alias": "best", "version": "9"}
    assert world.refuse("POST", MODELS + "alias", missing)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    moves = [(move.before, move.after) for move in world.services.registry.alias_history("churn", "best")]
    assert moves == [(2, None), (1, 2), (None, 1)]


def test_stages(world: World) -> None:
    make_model(world, versions=3)

    def move(version: str, stage: str, **more: Any) -> str:
        body = {"name": "churn", "version": version, "stage": stage, **more}
        stage = world.get("POST", VERSIONS + "transition-stage", body)["model_version"]["current_stage"]
        return stage

    assert (move("1", "production"), move("2", "STAGING")) == ("Production", "Staging")
    assert move("2", "Production", archive_existing_versions=True) == "Production"
    latest = world.get("POST", MODELS + "get-latest-versions", {"name": "churn"})["model_versions"]
    stages = {found["version"]: found["current_stage"] for found in latest}
    assert stages == {"1": "Archived", "2": "Production", "3": "None"}
    body = {"name": "churn", "stages": ["production"]}
    (found,) = world.get("POST", MODELS + "get-latest-versions", body)["model_versions"]
    assert found["version"] == "2"
    assert world.get("GET", MODELS + "get-latest-versions", name="churn", stages="Staging") == {}
    for stage, told in (
        ("Bogus", "Invalid Model Version stage: Bogus. Value must be"),
        ("None", "not an Active stage"),
    ):
        body = {"name": "churn", "version": "1", "stage": stage, "archive_existing_versions": True}
        status, code, message = world.refuse("POST", VERSIONS + "transition-stage", body)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert told in message
    kinds = [change.kind for change in world.services.registry.history("churn")]
    assert kinds == ["stage"] * 4


def test_a_model_that_serves_is_not_deleted(world: World, tmp_path: Path) -> None:
    info = save_model(make_logistic(), tmp_path / "model", task="binary", sample=LOGISTIC_SAMPLE)
    tree = world.services.objects.put_tree(tmp_path / "model")
    world.services.registry.register("churn", None, tree, info)
    world.services.serving.deploy("shop", "churn", 1)
    for kind, body in ((MODELS, {"name": "churn"}), (VERSIONS, {"name": "churn", "version": "1"})):
        status, code, told = world.refuse("DELETE", kind + "delete", body)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert "version 1 of model 'churn' is in use by deployment 'shop'" in told


def test_limits_refuse_and_never_cut(world: World) -> None:
    long = "x" * 100_000
    make_model(world, versions=1, tags=[{"key": "k" * 250, "value": long}])
    assert world.get("GET", MODELS + "get", name="churn")["registered_model"]["tags"][0]["value"] == long
    version = {"name": "churn", "version": "1"}
    refused = [
        ("POST", MODELS + "set-tag", {"name": "churn", "key": "k", "value": long + "x"}),
        ("POST", VERSIONS + "set-tag", {**version, "key": "k", "value": long + "x"}),
        ("POST", MODELS + "set-tag", {"name": "churn", "key": "k" * 251}),
        ("POST", MODELS + "create", {"name": "x" * 251}),
        ("POST", MODELS + "alias", {**version, "alias": "x" * 256}),
        ("POST", VERSIONS + "create", {"name": "churn", "source": "s3://" + "x" * 500}),
        ("POST", VERSIONS + "create", {"name": "churn", "source": "s3://b/x", "run_id": "x" * 300}),
    ]
    for method, path, body in refused:
        assert world.refuse(method, path, body)[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("key", ["a//b", "..", "/a", "a/../b", "a\nb", "a$b"])
def test_a_tag_that_reads_like_a_path_is_refused(held: World, key: str) -> None:
    status, code, told = held.refuse("POST", MODELS + "set-tag", {"name": "churn", "key": key})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "for parameter 'key' supplied" in told


def test_a_run_gives_its_own_model_directory(world: World, run: Any) -> None:
    make_model(world)
    for path in ("model/MLmodel", "model/data/model.pkl", "other/file"):
        log_file(world, f"run:{run.id}", path, SKLEARN.encode())
    for source in (f"runs:/{run.id}/model", f"{run.artifact_uri}/model"):
        made = make_version(world, source=source, run_id=run.id)
        held = world.services.registry.get_version("churn", int(made["version"]))
        files = sorted(path for path, _ in world.services.objects.list_files(held.get_tree()))
        assert files == ["MLmodel", "data/model.pkl"]
        assert (held.flavor, held.task) == ("sklearn", None)
        assert [(column.name, column.type, column.required) for column in held.signature.inputs] == [
            ("age", "long", True),
            ("x", "double", False),
        ]
        assert world.services.serving.deploy("shop", "churn", held.version).state == "promoted"
    uri = world.get("GET", VERSIONS + "get-download-uri", name="churn", version="2")
    assert uri == {"artifact_uri": f"{run.artifact_uri}/model"}
    up = world.services.governance.trace_lineage("model-version:churn/1", "up")
    assert f"run:{run.id}" in {str(edge.source) for edge in up.edges}


def test_a_model_that_penstock_saved_is_served_after_a_client_registered_it(
    world: World, run: Any, tmp_path: Path
) -> None:
    save_model(make_logistic(), tmp_path / "model", task="binary", sample=LOGISTIC_SAMPLE)
    for file in (path for path in (tmp_path / "model").rglob("*") if path.is_file()):
        name = file.relative_to(tmp_path).as_posix()
        log_file(world, f"run:{run.id}", name, file.read_bytes())
    make_model(world, "the model")
    make_version(world, "the model", source=f"runs:/{run.id}/model", run_id=run.id)
    assert world.services.registry.get_version("the model", 1).task == "binary"
    assert world.services.serving.deploy("shop", "the model", 1).state == "promoted"


def test_a_source_may_hold_nothing_yet(world: World, run: Any) -> None:
    make_model(world)
    make_version(world, source=f"runs:/{run.id}/later", run_id=run.id)
    assert world.services.registry.get_version("churn", 1).tree is None
    with pytest.raises(ConflictError, match="was registered without its files"):
        world.services.serving.deploy("shop", "churn", 1)


SOURCES = [
    "/etc/passwd",
    "file:///etc/passwd",
    "relative/path",
    "C:\\model",
    "c:/model",
    "runs:/{run}/../{other}/model",
    "runs:/{run}/%2e%2e/x",
    "runs:/{run}/%252e%252e/x",
    "runs:/{run}/a\\..\\b",
    "runs://host/{run}/model",
    "{uri}/../../{other}/artifacts/model",
    "s3://bucket/../other",
    "s3://bucket/a%00b",
    "models:/m-00000000000000000000000000000000",
    "models:/",
    "models://host/churn/1",
]


ELSEWHERE = [
    "runs:/{other}/model",
    "runs:/{run}x/model",
    "runs:/",
    "{uri}x/model",
    "mlflow-artifacts:/",
    "mlflow-artifacts:/1/{other}/artifacts/model",
    "mlflow-artifacts://host:80/1/{run}/artifacts/model",
    "http://host/api/2.0/mlflow-artifacts/artifacts/1/{run}/artifacts",
    "https://example.com/model",
    "ftp://host/model",
]


@pytest.mark.parametrize("form", ELSEWHERE)
def test_a_source_that_lies_elsewhere_is_kept_as_it_stands_and_nothing_is_read(
    world: World, run: Any, form: str
) -> None:
    make_model(world)
    other = world.services.tracking.create_run("trials")
    log_file(world, f"run:{other.id}", "model/MLmodel", SKLEARN.encode())
    source = form.format(run=run.id, other=other.id, uri=run.artifact_uri)
    assert make_version(world, source=source, run_id=run.id)["source"] == source
    held = world.services.registry.get_version("churn", 1)
    assert (held.tree, held.flavor) == (None, "")


@pytest.mark.parametrize("form", SOURCES)
def test_a_source_that_leads_elsewhere_is_refused(held: World, form: str) -> None:
    run, other = (held.services.tracking.create_run("trials") for _ in range(2))
    log_file(held, f"run:{other.id}", "model/MLmodel", SKLEARN.encode())
    source = form.format(run=run.id, other=other.id, uri=run.artifact_uri)
    for given in ({"run_id": run.id}, {}):
        status, code, told = held.refuse("POST", VERSIONS + "create", {"name": "churn", "source": source, **given})
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert told
    assert [version.version for version in held.services.registry.list_versions("churn")] == [1]


def test_a_version_can_be_copied_with_what_it_comes_from(world: World, run: Any) -> None:
    make_model(world, "dev")
    log_file(world, f"run:{run.id}", "model/MLmodel", SKLEARN.encode())
    make_version(world, "dev", source=f"runs:/{run.id}/model", run_id=run.id)
    world.get("POST", MODELS + "alias", {"name": "dev", "alias": "best", "version": "1"})
    make_model(world, "prod")
    for source in ("models:/dev/1", "models:/dev@best", "models:/dev/latest", "models:/dev/None"):
        made = make_version(world, "prod", source=source)
        assert (made["source"], made["run_id"]) == ("models:/dev/1", run.id)
    held = world.services.registry.get_version("prod", 1)
    assert held.tree == world.services.registry.get_version("dev", 1).tree
    uri = world.get("GET", VERSIONS + "get-download-uri", name="prod", version="1")
    assert uri == {"artifact_uri": f"runs:/{run.id}/model"}
    assert world.refuse("POST", VERSIONS + "create", {"name": "prod", "source": "models:/dev/9"})[0] == 404
    wrong = {"name": "prod", "source": "models:/dev/1", "run_id": "0" * 32}
    assert world.refuse("POST", VERSIONS + "create", wrong)[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_a_logged_model_becomes_a_version(world: World, run: Any) -> None:
    model = world.services.logged_models.create_logged_model(run.experiment_id, "net", source_run_id=run.id)
    log_file(world, f"logged-model:{model.id}", "MLmodel", SKLEARN.encode())
    make_model(world)
    made = make_version(world, source=f"models:/{model.id}", model_id=model.id)
    assert (made["source"], made["run_id"]) == (f"models:/{model.id}", run.id)
    make_version(world, source=f"{model.artifact_uri}/", model_id=model.id)
    for version in (1, 2):
        held = world.services.registry.get_version("churn", version)
        assert (held.flavor, held.logged_model_id, held.run_id) == ("sklearn", model.id, run.id)
    uri = world.get("GET", VERSIONS + "get-download-uri", name="churn", version="1")
    assert uri == {"artifact_uri": model.artifact_uri}
    tags = world.services.logged_models.get_logged_model(model.id).tags
    told = json.loads(tags["mlflow.modelVersions"])
    assert told == [{"name": "churn", "version": 1}, {"name": "churn", "version": 2}]
    for source in (f"models:/{model.id[:-1]}x", f"runs:/{run.id}/model", f"{run.artifact_uri}/model"):
        body = {"name": "churn", "source": source, "model_id": model.id}
        assert world.refuse("POST", VERSIONS + "create", body)[:2] == (400, "INVALID_PARAMETER_VALUE")
    body = {"name": "churn", "source": f"models:/{model.id}"}  # without saying which model
    assert world.refuse("POST", VERSIONS + "create", body)[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[1, 2", b"flavors: 3", b"flavors: {}", b"a: &a [*a, *a]", b"x" * 300_000, b"[" * 200_000],
    ids=lambda content: repr(content[:20]),
)
def test_a_model_file_that_cannot_be_read_is_kept_and_says_nothing(world: World, run: Any, content: bytes) -> None:
    make_model(world)
    log_file(world, f"run:{run.id}", "model/MLmodel", content)
    make_version(world, source=f"runs:/{run.id}/model", run_id=run.id)
    held = world.services.registry.get_version("churn", 1)
    assert (held.tree is not None, held.task, held.signature.inputs) == (True, None, ())


def test_searches_page_order_and_leave_out_what_is_absent(world: World) -> None:
    assert world.get("GET", MODELS + "search") == {}
    assert world.get("GET", VERSIONS + "search") == {}
    for name in ("b", "a", "c"):
        make_model(world, name, versions=2)
    first = world.get("GET", MODELS + "search", max_results=2)
    assert [model["name"] for model in first["registered_models"]] == ["a", "b"]
    rest = world.get("GET", MODELS + "search", max_results=2, page_token=first["next_page_token"])
    assert [model["name"] for model in rest["registered_models"]] == ["c"]
    assert "next_page_token" not in rest
    query: dict[str, Any] = {"filter": "name IN ('a', 'b')", "order_by": ["name DESC", "version_number ASC"]}
    found = world.get("GET", VERSIONS + "search", **query)["model_versions"]
    assert [(version["name"], version["version"]) for version in found] == [
        ("b", "1"),
        ("b", "2"),
        ("a", "1"),
        ("a", "2"),
    ]


@pytest.mark.parametrize("count", [0, -1, 1_001, 200_001])
def test_a_page_of_no_or_too_many_results_is_refused(untouched: World, count: int) -> None:
    status, code, told = untouched.refuse("GET", MODELS + "search", max_results=count)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "max_results" in told
    if count != 1_001:
        assert untouched.refuse("GET", VERSIONS + "search", max_results=count)[0] == 400


def test_prompts_are_hidden_unless_asked_for(world: World) -> None:
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    make_model(world, "greet", tags=[tag])
    make_version(world, "greet", source="dummy-source", tags=[tag])
    make_model(world, versions=1)
    asked = {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}
    for kind, key in ((MODELS, "registered_models"), (VERSIONS, "model_versions")):
        assert [found["name"] for found in world.get("GET", kind + "search")[key]] == ["churn"]
        assert [found["name"] for found in world.get("GET", kind + "search", **asked)[key]] == ["greet"]
    body = {"name": "greet", "source": "s3://bucket/x", "tags": [tag]}
    assert "Invalid prompt source" in world.refuse("POST", VERSIONS + "create", body)[2]
    told = world.refuse("POST", MODELS + "create", {"name": "greet"})
    assert told[1] == "RESOURCE_ALREADY_EXISTS"
    assert "already taken by a prompt" in told[2]


def test_webhooks_are_no_endpoint(world: World) -> None:
    for method, path in (("GET", "webhooks"), ("POST", "webhooks"), ("GET", "webhooks/1")):
        assert world.refuse(method, path)[:2] == (404, "ENDPOINT_NOT_FOUND")


def test_the_history_of_an_alias_tells_who_moved_it_through_the_protocol(world: World) -> None:
    make_model(world, versions=2)
    start = world.clock.now()
    for version in ("1", "2"):
        world.clock.advance(days=1)
        world.get("POST", MODELS + "alias", {"name": "churn", "alias": "champion", "version": version})
    moves = world.services.registry.alias_history("churn")
    assert [(move.actor, move.before, move.after) for move in moves] == [("ada", 1, 2), ("ada", None, 1)]
    held = world.services.registry.alias_at("churn", "champion", start + timedelta(days=1, hours=1))
    assert held is not None
    assert held.version == 1
