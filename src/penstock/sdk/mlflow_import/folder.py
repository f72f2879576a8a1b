"""Reads an `mlruns` folder: MLflow's file store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from penstock.core.errors import InvalidInputError
from penstock.core.plain_yaml import load_yaml
from penstock.sdk.mlflow_import.files import LocalArtifacts, list_folder
from penstock.sdk.mlflow_import.source import (
    DELETED_VERSION,
    RUN_NAME,
    SourceExperiment,
    SourceFile,
    SourceModel,
    SourceRun,
    SourceVersion,
    UnreadableArtifactsError,
    to_status,
)
from penstock.tracking.histories import History

_META = "meta.yaml"
_MODELS, _TRASH = "models", ".trash"


class FolderSource:
    """An `mlruns` folder, also one that was copied from where it was written."""

    def __init__(self, folder: Path, destination: Path | None = None) -> None:
        self.label = str(folder)
        self._folder = folder
        self._artifacts = LocalArtifacts(destination)
        self._homes: dict[str, Path] = {}  # by the id of the experiment
        self._runs: dict[str, Path] = {}

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder looks like a file store."""
        return any(folder.glob(f"*/{_META}")) or any(folder.glob(f"{_MODELS}/*/{_META}"))

    def list_experiments(self) -> list[SourceExperiment]:
        """See `Source`."""
        return [_to_experiment(home, _read(home / _META)) for home in self._each_home()]

    def count_runs(self, experiment_id: str) -> int | None:
        """See `Source`."""
        return sum(1 for _ in _each_with_meta(self._home(experiment_id)))

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """See `Source`."""
        for home in _each_with_meta(self._home(experiment_id)):
            held = _read(home / _META)
            run_id = str(held.get("run_id") or held.get("run_uuid") or home.name)
            self._runs[run_id] = home
            yield _to_run(home, run_id, held)

    def read_points(self, run: SourceRun, key: str) -> History:
        """See `Source`."""
        path = self._runs[run.id] / "metrics" / key
        rows = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
        try:
            at = np.array([int(row[0]) * 1_000 for row in rows], dtype=np.int64)
            steps = np.array([int(row[2]) if len(row) > 2 else 0 for row in rows], dtype=np.int64)
            return History(at, steps, np.array([float(row[1]) for row in rows], dtype=np.float64))
        except (ValueError, IndexError, OverflowError) as error:
            raise InvalidInputError(f"{path} holds a line that is no point of a metric: {error}") from error

    def list_files(self, run: SourceRun) -> list[SourceFile]:
        """See `Source`."""
        return list_folder(self._root(run))

    @contextlib.contextmanager
    def open_file(self, run: SourceRun, file: SourceFile) -> Iterator[Path]:
        """See `Source`."""
        yield self._root(run) / file.path

    def list_models(self) -> list[SourceModel]:
        """See `Source`."""
        return [_to_model(home) for home in _each_with_meta(self._folder / _MODELS)]

    def close(self) -> None:
        """Nothing is open."""

    def _root(self, run: SourceRun) -> Path:
        """Where the artifacts of a run lie; those of a folder that was moved are where its runs are."""
        beside = self._runs[run.id] / "artifacts"
        try:
            named = self._artifacts.find_folder(run.artifact_uri)
        except UnreadableArtifactsError:
            if beside.is_dir() and any(beside.iterdir()):
                return beside
            raise
        return named if named.is_dir() else beside

    def _each_home(self) -> Iterator[Path]:
        for place in (self._folder, self._folder / _TRASH):
            yield from (home for home in _each_with_meta(place) if home.name != _MODELS)

    def _home(self, experiment_id: str) -> Path:
        if not self._homes:
            self._homes = {str(_read(home / _META).get("experiment_id", home.name)): home for home in self._each_home()}
        return self._homes[experiment_id]


def _each_with_meta(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(each for each in folder.iterdir() if (each / _META).is_file())


def _to_experiment(home: Path, held: dict[str, Any]) -> SourceExperiment:
    created = int(held.get("creation_time") or 0)
    return SourceExperiment(
        id=str(held.get("experiment_id", home.name)),
        name=str(held["name"]),
        created_ms=created,
        updated_ms=int(held.get("last_update_time") or created),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        tags=_read_texts(home / "tags"),
    )


def _to_run(home: Path, run_id: str, held: dict[str, Any]) -> SourceRun:
    tags = _read_texts(home / "tags")
    metrics = home / "metrics"
    keys = sorted(path.relative_to(metrics).as_posix() for path in metrics.rglob("*") if path.is_file())
    return SourceRun(
        id=run_id,
        name=str(held.get("run_name") or held.get("name") or tags.get(RUN_NAME) or ""),
        status=to_status(held.get("status")),
        started_ms=int(held.get("start_time") or 0),
        ended_ms=held.get("end_time"),
        user=str(held.get("user_id") or ""),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        deleted_ms=held.get("deleted_time"),
        artifact_uri=str(held.get("artifact_uri") or ""),
        params=_read_texts(home / "params"),
        tags=tags,
        metrics=tuple(keys),
    )


def _to_model(home: Path) -> SourceModel:
    held = _read(home / _META)
    aliases = home / "aliases"
    versions = (each for each in _each_with_meta(home) if each.name.startswith("version-"))
    return SourceModel(
        name=str(held.get("name", home.name)),
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        description=str(held.get("description") or ""),
        tags=_read_texts(home / "tags"),
        aliases={path.name: int(path.read_text()) for path in aliases.iterdir()} if aliases.is_dir() else {},
        versions=tuple(sorted((_to_version(each) for each in versions), key=lambda version: version.number)),
    )


def _to_version(home: Path) -> SourceVersion:
    held = _read(home / _META)
    return SourceVersion(
        number=int(held["version"]),
        is_deleted=held.get("current_stage") == DELETED_VERSION,
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        stage=str(held.get("current_stage") or "None"),
        description=str(held.get("description") or ""),
        user=str(held.get("user_id") or ""),
        source=str(held.get("source") or ""),
        run_id=str(held.get("run_id") or ""),
        run_link=str(held.get("run_link") or ""),
        tags=_read_texts(home / "tags"),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        held = load_yaml(path.read_bytes())
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{path} cannot be read: it is no YAML") from error
    if not isinstance(held, dict):
        raise InvalidInputError(f"{path} is empty, or holds no fields", hint="the folder may be half written")
    return held


def _read_texts(folder: Path) -> dict[str, str]:
    """A file for each key; keys with slashes are files in folders."""
    if not folder.is_dir():
        return {}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8") for path in paths}
