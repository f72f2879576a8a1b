"""Sources of versions that are paths of a disk: taken where clients share it, and never read by the server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.mlflow.world import World, open_world

VERSIONS = "model-versions/"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        world.get("POST", "registered-models/create", {"name": "churn"})
        yield world


def make_version(world: World, **given: Any) -> Any:
    return world.get("POST", VERSIONS + "create", {"name": "churn", **given})["model_version"]


@pytest.fixture(params=["file:///shared/place", "/shared/place", "file://localhost/shared/pl%61ce"])
def home(request: pytest.FixtureRequest, world: World) -> Any:
    """An experiment whose artifacts lie on a disk that its clients share, as requests name it."""
    return world.get("POST", "experiments/create", {"name": "on a disk", "artifact_location": request.param})


@pytest.fixture
def run(world: World, home: Any) -> Any:
    return world.get("POST", "runs/create", home)["run"]["info"]


@pytest.fixture
def logged(world: World, home: Any) -> Any:
    return world.get("POST", "logged-models", home)["model"]["info"]


def test_a_path_is_a_source_where_the_run_has_its_artifacts(world: World, run: Any) -> None:
    root = f"/shared/place/{run['run_id']}/artifacts"
    paths = [root, f"{root}/model", f"{root}/.", f"{root}/model/.."]
    for source in (*paths, f"file://{root}/model", run["artifact_uri"]):
        version = make_version(world, source=source, run_id=run["run_id"])
        assert (version["source"], version["run_id"]) == (source, run["run_id"])
        told = world.get("GET", VERSIONS + "get-download-uri", name="churn", version=version["version"])
        assert told == {"artifact_uri": source}


def test_a_path_is_a_source_where_the_logged_model_has_its_artifacts(world: World, logged: Any) -> None:
    source = f"{logged['artifact_uri']}/x"
    assert make_version(world, source=source, model_id=logged["model_id"])["source"] == source
    tags = world.get("GET", f"logged-models/{logged['model_id']}")["model"]["info"]["tags"]
    assert tags == [{"key": "mlflow.modelVersions", "value": '[{"name": "churn", "version": 1}]'}]


def test_a_path_anywhere_else_is_no_source(world: World, run: Any, logged: Any) -> None:
    run_id, root = run["run_id"], f"/shared/place/{run['run_id']}/artifacts"
    for given in (
        {"source": root},
        {"source": f"{root}/../../x", "run_id": run_id},
        {"source": f"file://{root}/%2e%2e/x", "run_id": run_id},
        {"source": f"{root}x", "run_id": run_id},
        {"source": "/shared/place", "run_id": run_id},
        {"source": root, "run_id": "no-run"},
        {"source": root, "run_id": run_id, "model_id": logged["model_id"]},
        {"source": logged["artifact_uri"], "model_id": "m-" + "0" * 32},
        {"source": f"file://{root}/a%00", "run_id": run_id},
        {"source": "shared/place", "run_id": run_id},
        {"source": "C:/shared", "run_id": run_id},
    ):
        status, code, told = world.refuse("POST", VERSIONS + "create", {"name": "churn", **given})
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE"), given
        assert "To use a local path as a model version source" in told


def test_a_file_on_another_host_is_no_source(world: World) -> None:
    run_id = world.get("POST", "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    given = {"name": "churn", "source": "file://123.456.789.123/path/to/source", "run_id": run_id}
    status, code, told = world.refuse("POST", VERSIONS + "create", given)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE") and "is not a valid remote uri" in told
