"""Whose a path of the proxy is: a run's only below that run's own root."""

from pathlib import Path

import pytest

from factories import open_database
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.storage.database import Database
from penstock.tracking.artifacts.homes import FREE_SPACE, Place, find_place, find_root
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.logged_models.service import LoggedModelService
from penstock.tracking.service import TrackingService

NO_MODEL = "m-" + "0a" * 16


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return open_database(tmp_path)


def test_below_the_root_of_a_run_everything_is_its_own(db: Database) -> None:
    run = TrackingService(db).create_run("churn")
    root = run.artifact_uri.removeprefix("mlflow-artifacts:/")
    for path in ("", "a.txt", "a/b/artifacts/c", f"{run.id}/artifacts/x"):
        assert db.read(find_place, f"{root}/{path}".removesuffix("/")) == Place(f"run:{run.id}", path)
    assert db.read(find_place, f"{root}/") == Place(f"run:{run.id}", "")
    assert db.read(find_root, run.id) == run.artifact_uri
    with pytest.raises(NotFoundError):
        db.read(find_root, "nobody")


def test_a_run_is_not_reached_by_another_way(db: Database) -> None:
    run = TrackingService(db).create_run("churn")
    for path in (
        f"7/{run.id}/artifacts/a",
        f"{run.id}/artifacts/a",
        f"x/1/{run.id}/artifacts/a",
        f"1/{run.id}/artifact/a",
        f"1/{run.id}",
        "1",
        "free/folder/artifacts/x",
    ):
        assert db.read(find_place, path) == Place(FREE_SPACE, path)


def test_an_experiment_may_have_a_location_of_its_own(db: Database) -> None:
    ExperimentService(db).create_experiment("own", artifact_location="mlflow-artifacts:/team/a")
    run = TrackingService(db).create_run("own")
    assert db.read(find_place, f"team/a/{run.id}/artifacts/x") == Place(f"run:{run.id}", "x")
    assert db.read(find_place, "team/a/notes.txt") == Place(FREE_SPACE, "team/a/notes.txt")


def test_logged_models_have_their_own_place(db: Database) -> None:
    home = ExperimentService(db).create_experiment("churn")
    model = LoggedModelService(db).create_logged_model(home.id, "tree")
    root = model.artifact_uri.removeprefix("mlflow-artifacts:/")
    for path in ("", "MLmodel", f"models/{model.id}/artifacts/x"):
        place = Place(f"logged-model:{model.id}", path)
        assert db.read(find_place, f"{root}/{path}".removesuffix("/")) == place
    for path in (
        f"{home.id}/{model.id}/artifacts/x",
        f"{home.id}/models/{model.id}/x",
        f"7/models/{model.id}/artifacts/x",
        f"{home.id}/models/{NO_MODEL}/artifacts/x",
    ):
        assert db.read(find_place, path) == Place(FREE_SPACE, path)


def test_many_names_that_might_be_runs_are_no_trouble(db: Database) -> None:
    path = "/".join(["artifacts"] * 99)
    assert db.read(find_place, path) == Place(FREE_SPACE, path)


@pytest.mark.parametrize("path", ["..", "a/../b", "/a", "a//b", "a\\b", "\0"])
def test_what_could_lead_elsewhere_is_nowhere(db: Database, path: str) -> None:
    with pytest.raises(InvalidInputError):
        db.read(find_place, path)
