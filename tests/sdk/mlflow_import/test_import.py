"""`penstock import mlflow` takes a store over whole, once, and after any stop."""

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

import warm_python
from patience import PATIENCE_S
from penstock.core.errors import NotFoundError
from penstock.core.ids import RunId
from penstock.sdk.connect import connect_place
from penstock.tracking.taking_over import to_moment
from sdk.mlflow_import.stores import GONE, LOST_MODEL, MODEL, RUN, T, build_database, build_folder
from sdk.spool.servers import Server


def import_mlflow(source: object, home: object, *more: str, failpoints: str = "") -> subprocess.CompletedProcess[str]:
    command = ["-m", "penstock", "import", "mlflow", str(source), "--into", str(home), "--json", *more]
    environment = os.environ | {"PENSTOCK_FAILPOINTS": failpoints}
    return warm_python.run(command, env=environment, timeout=PATIENCE_S)


def report_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["report"]


def test_a_database_arrives_whole(tmp_path: Path) -> None:
    done = import_mlflow(build_database(tmp_path), tmp_path / "home")
    assert done.returncode == 0, done.stdout + done.stderr
    report = report_of(done)
    assert [GONE in line for line in report["skipped"]] == [True]
    assert report["others"] == {"traces": 2}
    assert report["running"] == []
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
    assert services.registry.get_model("m").latest_version == 5
    with pytest.raises(NotFoundError, match="deleted"):
        services.registry.get_version("m", 2)
    inputs = services.inputs.get_inputs(RunId(RUN))
    assert [(each.dataset.name, each.tags) for each in inputs.datasets] == [("d", {"mlflow.data.context": "train"})]
    assert inputs.models == (LOST_MODEL,)
    assert [(each.model_id, each.step) for each in services.inputs.list_outputs(RunId(RUN))] == [(MODEL, 3)]
    services.close()


def test_logged_models_arrive_whole(tmp_path: Path) -> None:
    done = import_mlflow(build_database(tmp_path), tmp_path / "home")
    assert [each["logged_models"] for each in report_of(done)["experiments"]] == [0, 2, 0]
    services = connect_place(str(tmp_path / "home"))
    model = services.logged_models.get_logged_model(MODEL)
    assert (model.name, model.model_type, model.source_run_id, model.status) == ("tree", "classifier", RUN, "ready")
    assert (model.params, model.tags, model.created_by) == ({"depth": "3"}, {"mlflow.user": "kim"}, "kim")
    assert [(point.value, point.step, point.dataset_name) for point in model.metrics] == [(0.5, 1, "d"), ("NaN", 2, "")]
    assert services.objects.get_bytes(services.artifacts.get_file(str(model.ref), "MLmodel").digest).startswith(b"fl")
    lost = services.logged_models.get_logged_model(LOST_MODEL, with_deleted=True)
    assert (lost.status, lost.status_message, lost.deleted_at) == ("upload_failed", "failed", to_moment(T + 8))
    version = services.registry.get_version("m", 5)
    assert (version.logged_model_id, version.flavor, version.location) == (MODEL, "xgboost", model.artifact_uri)
    assert services.logged_models.search_logged_models([model.experiment_id]).models == (model,)
    services.close()


def test_a_moved_folder_arrives_whole_and_once(tmp_path: Path) -> None:
    source = build_folder(tmp_path)
    for taken in (1, 0):
        done = import_mlflow(source, tmp_path / "home")
        assert done.returncode == 0, done.stdout + done.stderr
        (churn,) = report_of(done)["experiments"]
        assert (churn["taken"], churn["runs"], churn["points"], churn["files"]) == (taken, 1, 4, 1)


SLOW_POINTS = ("run.begun", "run.points", "run.files", "logged_model.begun", "model.done")


@pytest.mark.every(2)
@pytest.mark.parametrize(
    "point", ["logged_model.files", *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW_POINTS)]
)
def test_an_import_that_is_killed_ends_alike_when_it_goes_on(point: str, tmp_path: Path) -> None:
    source = build_database(tmp_path, points=12_000)
    assert import_mlflow(source, tmp_path / "home", failpoints=f"import.{point}=kill").returncode == -9
    assert report_of(import_mlflow(source, tmp_path / "home"))["differences"] == []
    assert report_of(import_mlflow(source, tmp_path / "whole"))["differences"] == []
    assert describe(tmp_path / "home") == describe(tmp_path / "whole")


def describe(home: Path) -> list[object]:
    """Everything that an import wrote, but for the moments when it did."""
    services = connect_place(str(home))
    runs = [services.tracking.get_run(RunId(run)) for run in (RUN, GONE)]
    points = [services.taking_over.summarize_run(run.id) for run in runs]
    models = [services.logged_models.get_logged_model(each, with_deleted=True) for each in (MODEL, LOST_MODEL)]
    homes = [str(each.ref) for each in (*runs, models[0])]
    files = [(each.path, each.digest) for home in homes for each in services.artifacts.list_files(home)]
    versions = services.registry.list_versions("m")
    aliases = [(each.alias, each.version) for each in services.registry.list_aliases("m")]
    found: list[object] = [runs, points, models, files, versions, aliases, services.experiments.list_experiments()[1:]]
    services.close()
    return found


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert (churn["runs"], churn["points"], churn["files"], churn["logged_models"]) == (1, 6, 3, 1), report
    assert report["differences"] == []


@pytest.mark.slow
def test_a_file_that_changed_is_copied_again(tmp_path: Path) -> None:
    source = build_database(tmp_path)
    assert import_mlflow(source, tmp_path / "home").returncode == 0
    (tmp_path / "art" / RUN / "artifacts" / "note.txt").write_text("HELLO")
    assert report_of(import_mlflow(source, tmp_path / "home", "--quick"))["experiments"][1]["taken"] == 0
    report = report_of(import_mlflow(source, tmp_path / "home"))
    assert (report["experiments"][1]["taken"], report["differences"]) == (1, [])
    services = connect_place(str(tmp_path / "home"))
    assert services.objects.get_bytes(services.artifacts.get_artifact(RunId(RUN), "note.txt").digest) == b"HELLO"
    services.close()


@pytest.mark.slow
def test_a_stored_file_that_is_damaged_is_a_difference(tmp_path: Path) -> None:
    source = build_database(tmp_path)
    assert import_mlflow(source, tmp_path / "home").returncode == 0
    (stored,) = (
        each for each in (tmp_path / "home").rglob("*") if each.is_file() and each.read_bytes()[-5:] == b"hello"
    )
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes()[:-5] + b"jello")
    done = import_mlflow(source, tmp_path / "home")
    assert done.returncode == 1
    assert any("note.txt" in line and "penstock verify" in line for line in report_of(done)["differences"])


def test_broken_files_and_links_are_named_and_the_rest_arrives(tmp_path: Path) -> None:
    source = build_folder(tmp_path)
    home = source / "422322296572780428"
    for name, text in (("1" * 32, ""), ("2" * 32, "{"), ("3" * 32, "status: 9\nrun_id: x\n"), ("4" * 32, "[1]")):
        (home / name).mkdir()
        (home / name / "meta.yaml").write_text(text)
    (source / "77").mkdir()
    (source / "77" / "meta.yaml").write_text("experiment_id: '77'\n")
    (tmp_path / "secret").write_text("secret")
    files = home / RUN / "artifacts"
    (files / "out").symlink_to(tmp_path / "secret")
    (files / "up").symlink_to(tmp_path)
    (files / "inside").symlink_to(files / "note.txt")
    (files / "per%20cent").write_text("%")
    (files / "back\\slash").write_text("no")
    report = report_of(import_mlflow(source, tmp_path / "home"))
    for name in ("1" * 32, "2" * 32, "3" * 32, "4" * 32, "77"):
        assert any(name in line and "import again" in line for line in report["differences"]), name
    assert len(report["differences"]) == 5
    assert sorted(line.split("'")[1] for line in report["skipped"]) == ["back\\\\slash", "out", "up"]
    assert (report["experiments"][0]["runs"], report["experiments"][0]["files"]) == (1, 3)
    services = connect_place(str(tmp_path / "home"))
    paths = [each.path for each in services.artifacts.list_artifacts(RunId(RUN))]
    assert paths == ["inside", "note.txt", "per%20cent"]
    services.close()


def test_a_run_that_goes_on_is_imported_as_far_as_it_is_and_then_to_its_end(tmp_path: Path) -> None:
    source = build_folder(tmp_path)
    home = source / "422322296572780428" / RUN
    told = (home / "meta.yaml").read_text()
    (home / "meta.yaml").write_text(
        told.replace("status: 3", "status: 1").replace(f"end_time: {T + 9}", "end_time: null")
    )
    with (home / "metrics" / "loss").open("a") as file:
        file.write(f"{T + 3} 0.5 1")  # and more of this line to come
    report = report_of(import_mlflow(source, tmp_path / "home"))
    assert report["differences"] == [] and len(report["running"]) == 1
    assert report["experiments"][0]["points"] == 4
    with (home / "metrics" / "loss").open("a") as file:
        file.write("7\n")
    (home / "meta.yaml").write_text(told)
    report = report_of(import_mlflow(source, tmp_path / "home"))
    assert report["differences"] == [] and report["running"] == []
    assert (report["experiments"][0]["points"], report["experiments"][0]["taken"]) == (5, 1)
    services = connect_place(str(tmp_path / "home"))
    assert services.tracking.metric_history(RunId(RUN), "loss").points[-1].step == 17
    services.close()


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    report = report_of(import_mlflow(build_database(tmp_path), tmp_path / "home", "--dry-run"))
    assert not (tmp_path / "home").exists()
    churn = next(each for each in report["experiments"] if each["name"] == "churn")
    assert (churn["runs"], churn["params"], churn["points"], churn["files"]) == (1, 2, 6, 3)
    assert (report["models"], report["versions"], report["others"]) == (1, 3, {"traces": 2})
    assert [GONE in line for line in report["skipped"]] == [True]


@pytest.mark.slow
def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    sqlite3.connect(tmp_path / "other.db").executescript("CREATE TABLE runs (id TEXT)")
    assert "not a folder of MLflow" in import_mlflow(tmp_path / "plain", tmp_path / "home").stderr
    assert "not a database of MLflow" in import_mlflow(tmp_path / "other.db", tmp_path / "home").stderr
    assert "no MLflow server answers" in import_mlflow("http://127.0.0.1:9", tmp_path / "home").stderr
