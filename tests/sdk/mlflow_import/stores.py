"""Small MLflow stores: the tables and files that MLflow 3 writes, as far as they are read."""

import sqlite3
from pathlib import Path

RUN, GONE = "a" * 32, "b" * 32
MODEL, LOST_MODEL = "m-" + "c" * 32, "m-" + "d" * 32
T = 1_700_000_000_000
LARGEST = 1.7976931348623157e308
_SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT, lifecycle_stage TEXT,
  creation_time BIGINT, last_update_time BIGINT);
CREATE TABLE experiment_tags (key TEXT, value TEXT, experiment_id INTEGER);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT,
  lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER, deleted_time BIGINT);
CREATE TABLE metrics (key TEXT, value FLOAT NOT NULL, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE registered_models (name TEXT, creation_time BIGINT, last_updated_time BIGINT, description TEXT);
CREATE TABLE registered_model_tags (key TEXT, value TEXT, name TEXT);
CREATE TABLE registered_model_aliases (alias TEXT, version INTEGER, name TEXT);
CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, last_updated_time BIGINT,
  description TEXT, user_id TEXT, current_stage TEXT, source TEXT, run_id TEXT, run_link TEXT);
CREATE TABLE model_version_tags (key TEXT, value TEXT, name TEXT, version INTEGER);
CREATE TABLE datasets (dataset_uuid TEXT, experiment_id INTEGER, name TEXT, digest TEXT, dataset_source_type TEXT,
  dataset_source TEXT, dataset_schema TEXT, dataset_profile TEXT);
CREATE TABLE inputs (input_uuid TEXT, source_type TEXT, source_id TEXT, destination_type TEXT, destination_id TEXT,
  step BIGINT);
CREATE TABLE input_tags (input_uuid TEXT, name TEXT, value TEXT);
CREATE TABLE logged_models (model_id TEXT, experiment_id INTEGER, name TEXT, artifact_location TEXT,
  creation_timestamp_ms BIGINT, last_updated_timestamp_ms BIGINT, status INTEGER, lifecycle_stage TEXT, model_type TEXT,
  source_run_id TEXT, status_message TEXT);
CREATE TABLE logged_model_params (model_id TEXT, experiment_id INTEGER, param_key TEXT, param_value TEXT);
CREATE TABLE logged_model_tags (model_id TEXT, experiment_id INTEGER, tag_key TEXT, tag_value TEXT);
CREATE TABLE logged_model_metrics (model_id TEXT, metric_name TEXT, metric_timestamp_ms BIGINT, metric_step BIGINT,
  metric_value FLOAT, experiment_id INTEGER, run_id TEXT, dataset_name TEXT, dataset_digest TEXT);
CREATE TABLE trace_info (request_id TEXT);
"""


def build_database(folder: Path, points: int = 3) -> Path:
    """A database with two experiments, one deleted, a run in each, and a model with a hole."""
    artifacts = folder / "art" / RUN / "artifacts"
    (artifacts / "model").mkdir(parents=True)
    (artifacts / "model" / "MLmodel").write_text("flavors: {sklearn: {}}\n")
    (artifacts / "note.txt").write_text("hello")
    path = folder / "mlflow.db"
    held = sqlite3.connect(path)
    held.executescript(_SCHEMA)
    add = held.executemany
    add("INSERT INTO experiments VALUES (?,?,?,?,?,?)", [(0, "Default", "", "active", T, T)])
    add("INSERT INTO experiments VALUES (?,?,?,?,?,?)", [(7, "churn", "", "active", T, T + 1)])
    add("INSERT INTO experiments VALUES (?,?,?,?,?,?)", [(8, "gone", "", "deleted", T, T + 5)])
    add("INSERT INTO experiment_tags VALUES (?,?,?)", [("team", "risk", 7)])
    run = (RUN, "first", "kim", "FINISHED", T, T + 9, "active", str(artifacts), 7, None)
    gone = (GONE, None, None, "RUNNING", T, None, "deleted", "s3://far/away", 8, T + 6)
    add("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?)", [run, gone])
    values = [("loss", 0.0, T, RUN, 0, 1), ("loss", LARGEST, T + 1, RUN, 1, 0), ("loss", -LARGEST, T + 2, RUN, 2, 0)]
    values += [("many", step / 7, T + step, RUN, step, 0) for step in range(points)]
    add("INSERT INTO metrics VALUES (?,?,?,?,?,?)", values)
    add("INSERT INTO params VALUES (?,?,?)", [("lr", "0.1", RUN), ("deep/key", "two\nlines", RUN)])
    add("INSERT INTO tags VALUES (?,?,?)", [("mlflow.runName", "first", RUN), ("mlflow.runName", "lost", GONE)])
    add("INSERT INTO registered_models VALUES (?,?,?,?)", [("m", T, T + 3, "a model")])
    add("INSERT INTO registered_model_tags VALUES (?,?,?)", [("x", "y", "m")])
    add("INSERT INTO registered_model_aliases VALUES (?,?,?)", [("champion", 3, "m")])
    stages = {1: "None", 2: "Deleted_Internal", 3: "Production", 4: "Deleted_Internal"}
    source = f"{artifacts}/model"
    rows = [("m", number, T, T, f"d{number}", "kim", stage, source, RUN, None) for number, stage in stages.items()]
    add("INSERT INTO model_versions VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
    add("INSERT INTO model_version_tags VALUES (?,?,?,?)", [("v", "3", "m", 3)])
    _add_logged_models(held, folder)
    held.commit()
    held.close()
    return path


def _add_logged_models(held: sqlite3.Connection, folder: Path) -> None:
    """A logged model with files and measurements, which a run made and became version 5; and one that was deleted."""
    files = folder / "art" / "models" / MODEL / "artifacts"
    files.mkdir(parents=True)
    (files / "MLmodel").write_text("flavors: {xgboost: {}}\n")
    add = held.executemany
    models = [
        (MODEL, 7, "tree", str(files), T, T + 4, 2, "active", "classifier", RUN, None),
        (LOST_MODEL, 7, "lost", str(files.parent.parent / "none"), T, T + 8, 3, "deleted", None, None, "failed"),
    ]
    add("INSERT INTO logged_models VALUES (?,?,?,?,?,?,?,?,?,?,?)", models)
    add("INSERT INTO logged_model_params VALUES (?,?,?,?)", [(MODEL, 7, "depth", "3")])
    add("INSERT INTO logged_model_tags VALUES (?,?,?,?)", [(MODEL, 7, "mlflow.user", "kim")])
    points = [(MODEL, "acc", T, 1, 0.5, 7, RUN, "d", "1"), (MODEL, "acc", T, 2, None, 7, RUN, None, None)]
    add("INSERT INTO logged_model_metrics VALUES (?,?,?,?,?,?,?,?,?)", points)
    add("INSERT INTO datasets VALUES (?,?,?,?,?,?,?,?)", [("u", 7, "d", "1", "local", "{}", None, None)])
    edges = [
        ("i", "DATASET", "u", "RUN", RUN, 0),
        ("j", "RUN_OUTPUT", RUN, "MODEL_OUTPUT", MODEL, 3),
        ("k", "RUN_INPUT", RUN, "MODEL_INPUT", LOST_MODEL, 0),
    ]
    add("INSERT INTO inputs VALUES (?,?,?,?,?,?)", edges)
    add("INSERT INTO input_tags VALUES (?,?,?)", [("i", "mlflow.data.context", "train")])
    version = ("m", 5, T, T, "", "kim", "None", f"models:/{MODEL}", RUN, None)
    add("INSERT INTO model_versions VALUES (?,?,?,?,?,?,?,?,?,?)", [version])
    add("INSERT INTO trace_info VALUES (?)", [("tr-1",), ("tr-2",)])


def build_folder(folder: Path) -> Path:
    """An `mlruns` folder with one run, as it was written somewhere else."""
    home = folder / "mlruns" / "422322296572780428"
    run = home / RUN
    for name in ("metrics/deep", "params", "tags", "artifacts"):
        (run / name).mkdir(parents=True)
    (home / "meta.yaml").write_text(
        f"artifact_location: file:///else/where\ncreation_time: {T}\nexperiment_id: '422322296572780428'\n"
        f"last_update_time: {T}\nlifecycle_stage: active\nname: churn\n"
    )
    (run / "meta.yaml").write_text(
        f"artifact_uri: file:///else/where/{RUN}/artifacts\nend_time: {T + 9}\nexperiment_id: '422322296572780428'\n"
        f"lifecycle_stage: active\nrun_id: {RUN}\nrun_name: first\nstart_time: {T}\nstatus: 3\nuser_id: kim\n"
    )
    (run / "metrics" / "loss").write_text(f"{T} nan 0\n{T + 1} inf 1\n{T + 2} -inf 2\n{T + 2} -inf 2\n")
    (run / "metrics" / "deep" / "acc").write_text(f"{T} 0.1 0\n")
    (run / "params" / "lr").write_text("0.1")
    (run / "tags" / "mlflow.runName").write_text("first")
    (run / "artifacts" / "note.txt").write_text("hello")
    return folder / "mlruns"
