"""Reads an `mlruns` folder: MLflow's file store."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.core.errors import InvalidInputError
from penstock.sdk.mlflow_import.files import LocalArtifacts, list_folder, open_local
from penstock.sdk.mlflow_import.folder_parts import (
    META,
    each_file,
    each_with_meta,
    read_all,
    read_history,
    read_meta,
    read_model_points,
    read_texts,
)
from penstock.sdk.mlflow_import.folder_registry import list_models
from penstock.sdk.mlflow_import.source import (
    RUN_NAME,
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceOwner,
    SourceRun,
    UnreadableArtifactsError,
    to_model_status,
    to_status,
)
from penstock.tracking.histories import History
from penstock.tracking.inputs.types import DatasetInput, LoggedDataset, ModelOutput, RunInputs

_REGISTRY, _TRASH = "models", ".trash"


class FolderSource:
    """An `mlruns` folder, also one that was copied from where it was written."""

    def __init__(self, folder: Path, destination: Path | None = None) -> None:
        self.label = str(folder)
        self.problems: list[str] = []
        self._folder = folder
        self._artifacts = LocalArtifacts(destination, folder.parent)
        self._homes: dict[str, Path] = {}  # by the id of the experiment
        self._owners: dict[str, Path] = {}  # by the id of the run or logged model

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder looks like a file store."""
        return any(folder.glob(f"*/{META}")) or any(folder.glob(f"{_REGISTRY}/*/{META}"))

    def list_experiments(self) -> list[SourceExperiment]:
        """See `Source`."""
        found = list(read_all(self._each_home(), _read_experiment, self.problems))
        self._homes = {experiment.id: home for experiment, home in found}
        return [experiment for experiment, _ in found]

    def count_runs(self, experiment_id: str) -> int | None:
        """See `Source`."""
        return sum(1 for _ in each_with_meta(self._homes[experiment_id]))

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """See `Source`."""
        for run, home in read_all(each_with_meta(self._homes[experiment_id]), _read_run, self.problems):
            self._owners[run.id] = home
            yield run

    def read_points(self, run: SourceRun) -> Iterator[tuple[str, History]]:
        """See `Source`."""
        for key, path in each_file(self._owners[run.id] / "metrics"):
            yield key, read_history(path, is_growing=not run.status.is_terminal)

    def each_logged_model(self, experiment_id: str) -> Iterator[SourceLoggedModel]:
        """See `Source`."""
        folder = self._homes[experiment_id] / "models"
        for model, home in read_all(each_with_meta(folder), _read_logged_model, self.problems):
            self._owners[model.id] = home
            yield model

    def list_files(self, owner: SourceOwner) -> list[SourceFile]:
        """See `Source`."""
        return list_folder(self._root(owner))

    @contextlib.contextmanager
    def open_file(self, owner: SourceOwner, file: SourceFile) -> Iterator[Path]:
        """See `Source`."""
        with open_local(self._root(owner) / file.path) as path:
            yield path

    def list_models(self) -> list[SourceModel]:
        """See `Source`."""
        return list_models(self._folder / _REGISTRY, self.problems)

    def count_others(self) -> dict[str, int]:
        """See `Source`."""
        counts: Counter[str] = Counter()
        for home in self._homes.values():
            counts["traces"] += sum(1 for _ in home.glob("traces/*/trace_info.yaml"))
            counts["assessments of traces"] += sum(1 for _ in home.glob("traces/*/assessments/*"))
        return {name: count for name, count in counts.items() if count}

    def close(self) -> None:
        """Nothing is open."""

    def _root(self, owner: SourceOwner) -> Path:
        """Where artifacts lie; those of a folder that was moved are where their run or logged model is."""
        beside = self._owners[owner.id] / "artifacts"
        try:
            named = self._artifacts.find_folder(owner.artifact_uri)
        except UnreadableArtifactsError:
            if beside.is_dir() and any(beside.iterdir()):
                return beside
            raise
        return named if named.is_dir() else beside

    def _each_home(self) -> Iterator[Path]:
        for place in (self._folder, self._folder / _TRASH):
            yield from (home for home in each_with_meta(place) if home.name != _REGISTRY)


def _read_experiment(home: Path) -> tuple[SourceExperiment, Path]:
    held = read_meta(home)
    created = int(held.get("creation_time") or 0)
    return SourceExperiment(
        id=str(held.get("experiment_id", home.name)),
        name=str(held["name"]),
        created_ms=created,
        updated_ms=int(held.get("last_update_time") or created),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        tags=read_texts(home / "tags"),
    ), home


def _read_run(home: Path) -> tuple[SourceRun, Path]:
    held = read_meta(home)
    tags = read_texts(home / "tags")
    inputs, outputs = _read_links(home)
    return SourceRun(
        id=str(held.get("run_id") or held.get("run_uuid") or home.name),
        name=str(held.get("run_name") or held.get("name") or tags.get(RUN_NAME) or ""),
        status=to_status(held.get("status")),
        started_ms=int(held.get("start_time") or 0),
        ended_ms=held.get("end_time"),
        user=str(held.get("user_id") or ""),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        deleted_ms=held.get("deleted_time"),
        artifact_uri=str(held.get("artifact_uri") or ""),
        params=read_texts(home / "params"),
        tags=tags,
        inputs=inputs,
        outputs=outputs,
    ), home


def _read_links(home: Path) -> tuple[RunInputs, tuple[ModelOutput, ...]]:
    """What a run read and made."""
    datasets, models, outputs = [], [], []
    for held in map(read_meta, each_with_meta(home / "inputs")):
        if held["source_type"] == "DATASET":
            dataset = _to_dataset(read_meta(home.parent / "datasets" / str(held["source_id"])))
            tags = {str(key): str(value) for key, value in (held.get("tags") or {}).items()}
            datasets.append(DatasetInput(dataset=dataset, tags=tags))
        elif held["source_type"] == "MODEL":
            models.append(str(held["source_id"]))
    for held in map(read_meta, each_with_meta(home / "outputs")):
        outputs.append(ModelOutput(model_id=str(held["destination_id"]), step=int(held.get("step") or 0)))
    return RunInputs(datasets=tuple(datasets), models=tuple(models)), tuple(outputs)


def _to_dataset(held: dict[str, Any]) -> LoggedDataset:
    if "name" not in held or "digest" not in held:
        raise InvalidInputError("a dataset has no name or digest", hint="mend its meta.yaml, and import again")
    return LoggedDataset(
        name=str(held["name"]),
        digest=str(held["digest"]),
        source_type=str(held.get("source_type") or ""),
        source=str(held.get("source") or ""),
        schema=str(held.get("schema") or ""),
        profile=str(held.get("profile") or ""),
    )


def _read_logged_model(home: Path) -> tuple[SourceLoggedModel, Path]:
    held = read_meta(home)
    model_id = str(held.get("model_id") or home.name)
    points = [point for key, path in each_file(home / "metrics") for point in read_model_points(path, key, model_id)]
    return SourceLoggedModel(
        id=model_id,
        name=str(held["name"]),
        model_type=str(held.get("model_type") or ""),
        source_run_id=str(held.get("source_run_id") or ""),
        status=to_model_status(held.get("status")),
        status_message=str(held.get("status_message") or ""),
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        artifact_uri=str(held.get("artifact_location") or ""),
        params=read_texts(home / "params"),
        tags=read_texts(home / "tags"),
        points=tuple(points),
    ), home
