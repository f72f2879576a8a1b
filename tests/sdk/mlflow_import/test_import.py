"""`penstock import mlflow` takes a store over whole, once, and after any stop."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import NotFoundError
from penstock.core.ids import RunId
from penstock.sdk.connect import connect_place
from sdk.mlflow_import.stores import GONE, RUN, build_database, build_folder
from sdk.spool.servers import Server


def import_mlflow(source: object, home: object, *more: str, failpoints: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock", "import", "mlflow", str(source), "--into", str(home), "--json", *more]
    environment = os.environ | {"PENSTOCK_FAILPOINTS": failpoints}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, env=environment)


def report_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["report"]


def test_a_database_arrives_whole(tmp_path: Path) -> None:
    done = import_mlflow(build_database(tmp_path), tmp_path / "home")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [GONE in line for line in report_of(done)["skipped"]] == [True]
    services = connect_place(str(tmp_path / "home"))
    run = services.tracking.get_run(RunId(RUN))
    assert (run.experiment, run.experiment_id, run.name, run.status) == ("churn", 7, "first", "finished")
    assert (run.created_by, run.params) == ("kim", {"lr": "0.1", "deep/key": "two\nlines"})
    points = services.tracking.metric_history(RunId(RUN), "loss").points
    assert [point.value for point in points] == ["NaN", "Infinity", "-Infinity"]
    gone = services.tracking.get_run(RunId(GONE))
    assert (gone.name, gone.artifact_uri) == ("lost", "s3://far/away")
    assert gone.deleted_at == services.experiments.get_experiment("gone").deleted_at is not None
    assert services.experiments.get_experiment("churn").tags == {"team": "risk"}
    version = services.registry.resolve("models:/m@champion")
    assert (version.version, version.stage, version.tags, version.flavor) == (3, "Production", {"v": "3"}, "sklearn")
    assert version.tree is not None
    assert version.location == f"{run.artifact_uri}/model"
    assert services.registry.get_model("m").latest_version == 4
    with pytest.raises(NotFoundError, match="deleted"):
        services.registry.get_version("m", 2)
    services.close()


def test_a_moved_folder_arrives_whole_and_once(tmp_path: Path) -> None:
    source = build_folder(tmp_path)
    for taken in (1, 0):
        done = import_mlflow(source, tmp_path / "home")
        assert done.returncode == 0, done.stdout + done.stderr
        (churn,) = report_of(done)["experiments"]
        assert (churn["taken"], churn["runs"], churn["points"], churn["files"]) == (taken, 1, 4, 1)


@pytest.mark.parametrize("point", ["import.run.begun", "import.run.points", "import.run.files", "import.model.done"])
def test_an_import_that_is_killed_ends_alike_when_it_goes_on(point: str, tmp_path: Path) -> None:
    source = build_database(tmp_path, points=12_000)
    assert import_mlflow(source, tmp_path / "home", failpoints=f"{point}=kill").returncode == -9
    report = report_of(import_mlflow(source, tmp_path / "home"))
    assert report["differences"] == []
    churn = next(each for each in report["experiments"] if each["name"] == "churn")
    assert (churn["runs"], churn["points"], churn["files"], report["versions"]) == (1, 12_003, 2, 2)


def test_a_difference_is_named_and_fails(tmp_path: Path) -> None:
    source = build_database(tmp_path)
    assert import_mlflow(source, tmp_path / "home").returncode == 0
    held = sqlite3.connect(source)
    held.execute("UPDATE params SET value = '0.2' WHERE key = 'lr'")
    held.commit()
    held.close()
    done = import_mlflow(source, tmp_path / "home")
    assert done.returncode == 1
    assert any(RUN in line and "parameters" in line for line in report_of(done)["differences"])


def test_a_server_is_read_over_its_own_protocol(tmp_path: Path) -> None:
    assert import_mlflow(build_database(tmp_path), tmp_path / "first").returncode == 0
    server = Server(tmp_path / "first")
    server.start()
    try:
        done = import_mlflow(server.url, tmp_path / "second")
    finally:
        server.kill()
    report = report_of(done)
    churn = next(each for each in report["experiments"] if each["name"] == "churn")
    assert (churn["runs"], churn["points"], churn["files"]) == (1, 6, 2), report


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    sqlite3.connect(tmp_path / "other.db").executescript("CREATE TABLE runs (id TEXT)")
    assert "not a folder of MLflow" in import_mlflow(tmp_path / "plain", tmp_path / "home").stderr
    assert "not a database of MLflow" in import_mlflow(tmp_path / "other.db", tmp_path / "home").stderr
    assert "no MLflow server answers" in import_mlflow("http://127.0.0.1:9", tmp_path / "home").stderr
