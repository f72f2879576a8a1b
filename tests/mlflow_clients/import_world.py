"""A store as a team leaves it behind after some time, made by an MLflow client; and what a client sees of a store."""

import math
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

IS_CLIENT_3 = int(mlflow.__version__.partition(".")[0]) >= 3
PARENT = "mlflow.parentRunId"
MODEL = "churn model"
ODD_FILES = ("note.txt", "deep/er/ünïcode 🚀.txt", "two words (1) & more.bin", "empty")
PROMPT = "mlflow.prompt.is_prompt"
_T = 1_700_000_000_000
_PAGE = 1_000


def fill(client: MlflowClient, folder: Path, *, runs: int = 12, points: int = 30) -> str:
    """Everything that an import takes over, once at least; gives the id of the experiment that has most of it."""
    home = client.create_experiment("churn / ünïcode 🚀", tags={"team": "risk", "ü/key": "multi\nline 🚀"})
    files = _write_files(folder)
    parent = None
    ids = []
    for number in range(runs):
        tags = {"mlflow.user": "kim", "kind": f"k{number % 3}", "long": "x" * 4_000, "empty": ""}
        run_id = client.create_run(home, start_time=_T + number, tags=tags, run_name=f"run {number} 🚀").info.run_id
        ids.append(run_id)
        if parent is not None and number % 4:
            client.set_tag(run_id, PARENT, parent)
        else:
            parent = run_id
        values = [Metric("loss", 1 / (step + 1), _T + step, step) for step in range(points)]
        values += [Metric("odd/näme", value, _T, step) for step, value in enumerate((math.nan, math.inf, -math.inf))]
        values += [Metric("exact", 0.1 + 1e-17 * step, _T - step, -step) for step in range(3)]
        params = [Param("lr", str(number / 7)), Param("deep/key", "two\nlines"), Param("ünïcode", "ß 🚀")]
        client.log_batch(run_id, values, params, [RunTag("batch", "1")])
        for name in ODD_FILES:
            client.log_artifact(run_id, str(files / name), str(Path(name).parent) if "/" in name else None)
        dataset = Dataset(
            name=f"d{number % 2}", digest=f"{number % 2}abc", source_type="local", source="{}", schema="s"
        )
        client.log_inputs(
            run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train"), InputTag("a", "b")])]
        )
        if number % 5 != 4:
            client.set_terminated(run_id, ("FINISHED", "FAILED", "KILLED")[number % 3], _T + 10_000)
    (folder / "model").mkdir()
    (folder / "model" / "MLmodel").write_text("artifact_path: model\nflavors:\n  python_function:\n    env: {}\n")
    (folder / "model" / "weights.bin").write_bytes(bytes(range(256)) * 5_000)
    client.log_artifacts(ids[0], str(folder / "model"), "model")
    client.delete_run(ids[1])
    _fill_gone(client)
    _fill_registry(client, ids[0])
    if IS_CLIENT_3:
        _fill_logged_models(client, home, ids, folder)
    return home


def look(client: MlflowClient, folder: Path) -> dict[str, Any]:
    """What the client sees of a store, without what has to differ: where artifacts lie and ids of experiments."""
    seen: dict[str, Any] = {}
    experiments = client.search_experiments(view_type=ViewType.ALL)
    for held in experiments:
        told = (held.lifecycle_stage, held.creation_time, held.tags)
        seen[f"experiment {held.name}"] = told if held.name != "Default" else held.lifecycle_stage
        token = None
        while True:
            page = client.search_runs([held.experiment_id], "", ViewType.ALL, _PAGE, page_token=token)
            for run in page:
                seen[f"run {run.info.run_id}"] = (held.name, *_look_at_run(client, run.info.run_id, folder))
            token = page.token
            if not token:
                break
        if IS_CLIENT_3 and held.lifecycle_stage == "active":
            for model in client.search_logged_models([held.experiment_id]):
                seen[f"logged model {model.model_id}"] = _look_at_logged_model(model, folder)
    for filter in ("", f"tags.`{PROMPT}` = 'true'"):
        for model in client.search_registered_models(filter):
            seen[f"model {model.name}"] = _look_at_model(model)
            also = f" AND {filter}" if filter else ""
            for version in client.search_model_versions(f"name = '{model.name}'{also}"):
                seen[f"version {version.name}/{version.version}"] = _look_at_version(version)
    return seen


def _write_files(folder: Path) -> Path:
    files = folder / "files"
    for name in ODD_FILES:
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_bytes(b"" if name == "empty" else name.encode() * 10)
    return files


def _fill_gone(client: MlflowClient) -> None:
    gone = client.create_experiment("gone")
    run_id = client.create_run(gone, start_time=_T, run_name="lost").info.run_id
    client.log_metric(run_id, "m", 1.0, timestamp=_T)
    client.set_terminated(run_id, end_time=_T + 1)
    client.delete_experiment(gone)


def _fill_registry(client: MlflowClient, run_id: str) -> None:
    client.create_registered_model(MODEL, {"owner": "kim 🚀"}, "what it is for\n\n- ünïcode")
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    for number in range(4):
        client.create_model_version(MODEL, source, run_id, {"n": str(number)}, description=f"version {number}")
    client.transition_model_version_stage(MODEL, "1", "Archived")
    client.transition_model_version_stage(MODEL, "2", "Production")
    client.delete_model_version(MODEL, "3")
    client.set_registered_model_alias(MODEL, "champion", "2")
    client.set_registered_model_alias(MODEL, "challenger", "4")
    client.copy_model_version(f"models:/{MODEL}/2", "copy")
    client.create_registered_model("without versions")


def _fill_logged_models(client: MlflowClient, home: str, ids: list[str], folder: Path) -> None:
    params = {"depth": "3", "ünïcode": "ß 🚀"}
    model = client.create_logged_model(home, "tree 🚀", ids[0], {"t": "1"}, params, "classifier")
    client.log_model_artifacts(model.model_id, str(folder / "model"))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_metric(ids[0], "acc", 0.5, _T, 0, model_id=model.model_id, dataset_name="d0", dataset_digest="0abc")
    client.log_metric(ids[0], "acc", 0.75, _T + 1, 4, model_id=model.model_id)
    client.log_outputs(ids[0], [mlflow.entities.LoggedModelOutput(model.model_id, 7)])
    client.log_inputs(ids[2], models=[mlflow.entities.LoggedModelInput(model.model_id)])
    client.create_model_version(MODEL, f"models:/{model.model_id}", ids[0], model_id=model.model_id)
    failed = client.create_logged_model(home, "failed", ids[2])
    client.finalize_logged_model(failed.model_id, "FAILED")
    client.register_prompt("greeting", "Hello {{name}}", "first", {"lang": "en"})
    client.register_prompt("greeting", "Hi {{name}}", "second")
    client.set_prompt_alias("greeting", "live", 1)


def _look_at_run(client: MlflowClient, run_id: str, folder: Path) -> tuple[Any, ...]:
    run = client.get_run(run_id)  # MLflow's searches leave out which models a run read
    info, data = run.info, run.data
    histories = {
        key: sorted(
            (point.timestamp, point.step, _exact(point.value)) for point in client.get_metric_history(info.run_id, key)
        )
        for key in data.metrics
    }
    datasets = sorted(
        (held.dataset.name, held.dataset.digest, held.dataset.source, held.dataset.schema, _pairs(held.tags))
        for held in run.inputs.dataset_inputs
    )
    models: list[Any] = []
    if IS_CLIENT_3:
        models = [sorted(held.model_id for held in run.inputs.model_inputs)]
        models += sorted((held.model_id, held.step) for held in run.outputs.model_outputs)
    latest = {key: _exact(value) for key, value in data.metrics.items()}
    told = (info.run_name, info.status, info.user_id, info.start_time, info.end_time, info.lifecycle_stage)
    files = _read_files(client, info, folder / run_id)
    return (*told, data.params, data.tags, latest, histories, datasets, models, files)


def _read_files(client: MlflowClient, info: Any, folder: Path) -> dict[str, bytes]:
    if info.lifecycle_stage == "deleted" or not client.list_artifacts(info.run_id):
        return {}
    folder.mkdir(parents=True)
    found = Path(client.download_artifacts(info.run_id, "", str(folder)))
    return {str(path.relative_to(found)): path.read_bytes() for path in sorted(found.rglob("*")) if path.is_file()}


def _look_at_logged_model(model: Any, folder: Path) -> tuple[Any, ...]:
    points = sorted(
        (
            point.key,
            _exact(point.value),
            point.timestamp,
            point.step,
            point.run_id,
            point.dataset_name,
            point.dataset_digest,
        )
        for point in model.metrics or ()
    )
    files: dict[str, bytes] = {}
    if model.status == "READY":
        target = folder / model.model_id
        target.mkdir(parents=True)
        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=model.artifact_location, dst_path=str(target)))
        files = {str(path.relative_to(found)): path.read_bytes() for path in sorted(found.rglob("*")) if path.is_file()}
    told = (model.name, model.model_type or "", model.source_run_id, model.status, model.params, model.tags)
    return (*told, model.creation_timestamp, points, files)


def _look_at_model(model: Any) -> tuple[Any, ...]:
    aliases = {alias: int(version) for alias, version in model.aliases.items()}
    return (model.description or "", model.tags, aliases, model.creation_timestamp)


def _look_at_version(version: Any) -> tuple[Any, ...]:
    told = (version.current_stage, version.description or "", version.run_id or "", version.tags)
    return (*told, version.creation_timestamp, version.status)


def _exact(value: float) -> str:
    """The number as text; MLflow's databases keep infinity as the largest number."""
    return repr(math.copysign(math.inf, value) if abs(value) == sys.float_info.max else value)


def _pairs(tags: list[Any]) -> list[tuple[str, str]]:
    return sorted((tag.key, tag.value) for tag in tags)
