"""Reads MLflow's database: experiments, runs, points and logged models."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from sqlalchemy import func, select

from penstock.sdk.mlflow_import.database_registry import list_models
from penstock.sdk.mlflow_import.files import LocalArtifacts, list_folder, open_local
from penstock.sdk.mlflow_import.points import to_history, to_infinity
from penstock.sdk.mlflow_import.source import (
    RUN_NAME,
    SourceExperiment,
    SourceFile,
    SourceLoggedModel,
    SourceModel,
    SourceOwner,
    SourceRun,
    to_model_status,
    to_status,
)
from penstock.sdk.mlflow_import.tables import Tables
from penstock.tracking.histories import History
from penstock.tracking.inputs.types import DatasetInput, LoggedDataset, ModelOutput, RunInputs
from penstock.tracking.logged_models.points import ModelPoint
from penstock.tracking.tables import to_sortable

_PAGE = 500  # runs, or logged models
_OTHERS = {  # what nobody takes over, by its table
    "trace_info": "traces",
    "assessments": "assessments of traces",
    "evaluation_datasets": "evaluation datasets",
    "scorers": "scorers",
    "webhooks": "webhooks",
    "endpoints": "gateway endpoints",
    "secrets": "gateway secrets",
    "mcp_servers": "MCP servers",
    "issues": "issues",
    "review_queues": "review queues",
}


class DatabaseSource:
    """MLflow's database.

    Args:
        url: as SQLAlchemy writes it.
        destination: the folder behind `mlflow-artifacts:/`; None: not known.
    """

    def __init__(self, url: str, destination: Path | None = None) -> None:
        self.problems: list[str] = []
        self._tables = Tables(url)
        self.label = self._tables.label
        self._artifacts = LocalArtifacts(destination, self._tables.folder or Path.cwd())

    def list_experiments(self) -> list[SourceExperiment]:
        """See `Source`."""
        rows = [row for row in self._tables.rows(self._tables.select("experiments")) if self._tables.is_ours(row)]
        tags = self._tables.texts_of("experiment_tags", "experiment_id", [row["experiment_id"] for row in rows])
        return [
            SourceExperiment(
                id=str(row["experiment_id"]),
                name=row["name"],
                created_ms=row.get("creation_time") or 0,
                updated_ms=row.get("last_update_time") or row.get("creation_time") or 0,
                is_deleted=row.get("lifecycle_stage") == "deleted",
                tags=tags.get(row["experiment_id"], {}),
            )
            for row in sorted(rows, key=lambda row: row["experiment_id"])
        ]

    def count_runs(self, experiment_id: str) -> int | None:
        """See `Source`."""
        held = self._tables.columns("runs")["experiment_id"]
        query = select(func.count(held)).where(held == int(experiment_id))
        return int(self._tables.arrays(query)[0][0])

    def each_run(self, experiment_id: str) -> Iterator[SourceRun]:
        """See `Source`."""
        for rows in self._pages("runs", "run_uuid", experiment_id):
            ids = [row["run_uuid"] for row in rows]
            params = self._tables.texts_of("params", "run_uuid", ids)
            tags = self._tables.texts_of("tags", "run_uuid", ids)
            inputs, outputs = self._read_links(ids)
            for row in rows:
                run_id = row["run_uuid"]
                run = _to_run(row, params.get(run_id, {}), tags.get(run_id, {}))
                made = tuple(outputs.get(run_id, ()))
                yield structs.replace(run, inputs=inputs.get(run_id, RunInputs()), outputs=made)

    def read_points(self, run: SourceRun) -> Iterator[tuple[str, History]]:
        """See `Source`."""
        query = self._tables.select("metrics", "key", "timestamp", "value", "step", "is_nan")
        held: dict[str, list[tuple[int, int, float]]] = {}
        for key, at, value, step, is_nan in self._tables.arrays(
            query.where(self._tables.columns("metrics")["run_uuid"] == run.id)
        ):
            number = float("nan") if value is None or is_nan else float(value)
            held.setdefault(key, []).append((int(at or 0), int(step or 0), number))
        for key, points in sorted(held.items()):
            history = to_history(f"metric {key!r}", *zip(*points, strict=True))
            to_infinity(history.values)
            yield key, history

    def each_logged_model(self, experiment_id: str) -> Iterator[SourceLoggedModel]:
        """See `Source`."""
        if "logged_models" not in self._tables:
            return
        for rows in self._pages("logged_models", "model_id", experiment_id):
            ids = [row["model_id"] for row in rows]
            params = self._tables.texts_of("logged_model_params", "model_id", ids, ("param_key", "param_value"))
            tags = self._tables.texts_of("logged_model_tags", "model_id", ids, ("tag_key", "tag_value"))
            points: dict[str, list[ModelPoint]] = {}
            for row in self._tables.rows_of("logged_model_metrics", "model_id", ids):
                points.setdefault(row["model_id"], []).append(_to_point(row))
            for row in rows:
                one = row["model_id"]
                yield _to_logged_model(row, params.get(one, {}), tags.get(one, {}), tuple(points.get(one, ())))

    def list_files(self, owner: SourceOwner) -> list[SourceFile]:
        """See `Source`."""
        return list_folder(self._artifacts.find_folder(owner.artifact_uri))

    @contextlib.contextmanager
    def open_file(self, owner: SourceOwner, file: SourceFile) -> Iterator[Path]:
        """See `Source`."""
        with open_local(self._artifacts.find_folder(owner.artifact_uri) / file.path) as path:
            yield path

    def list_models(self) -> list[SourceModel]:
        """See `Source`."""
        return list_models(self._tables)

    def count_others(self) -> dict[str, int]:
        """See `Source`."""
        counts = {name: self._tables.count(table) for table, name in _OTHERS.items()}
        counts["experiments of other workspaces"] = self._tables.count_elsewhere("experiments")
        counts["models of other workspaces"] = self._tables.count_elsewhere("registered_models")
        return {name: count for name, count in counts.items() if count}

    def close(self) -> None:
        """End the connection."""
        self._tables.close()

    def _pages(self, table: str, key: str, experiment_id: str) -> Iterator[list[dict[str, Any]]]:
        """The rows of an experiment, some at a time, by their key."""
        held = self._tables.columns(table)
        query = self._tables.select(table).where(held["experiment_id"] == int(experiment_id))
        last = ""
        while rows := list(self._tables.rows(query.where(held[key] > last).order_by(held[key]).limit(_PAGE))):
            yield rows
            last = rows[-1][key]

    def _read_links(self, run_ids: list[str]) -> tuple[dict[str, RunInputs], dict[str, list[ModelOutput]]]:
        """What runs read and made: edges of a graph, which lead from a source to a destination."""
        rows = list(self._tables.rows_of("inputs", "destination_id", run_ids))
        read = [row for row in rows if row["destination_type"] == "RUN"]
        read += self._tables.rows_of("inputs", "source_id", run_ids)
        tags = self._tables.texts_of("input_tags", "input_uuid", [row["input_uuid"] for row in read], ("name", "value"))
        named = [row["source_id"] for row in read if row["source_type"] == "DATASET"]
        rows = list(self._tables.rows_of("datasets", "dataset_uuid", named))
        datasets = {row["dataset_uuid"]: _to_dataset(row) for row in rows}
        inputs: dict[str, tuple[list[DatasetInput], list[str]]] = {}
        outputs: dict[str, list[ModelOutput]] = {}
        for row in read:
            if row["source_type"] == "DATASET" and row["source_id"] in datasets:
                dataset = DatasetInput(dataset=datasets[row["source_id"]], tags=tags.get(row["input_uuid"], {}))
                inputs.setdefault(row["destination_id"], ([], []))[0].append(dataset)
            elif row["destination_type"] == "MODEL_INPUT":
                inputs.setdefault(row["source_id"], ([], []))[1].append(row["destination_id"])
            elif row["destination_type"] == "MODEL_OUTPUT":
                made = ModelOutput(model_id=row["destination_id"], step=row.get("step") or 0)
                outputs.setdefault(row["source_id"], []).append(made)
        found = {
            run_id: RunInputs(datasets=tuple(given), models=tuple(models)) for run_id, (given, models) in inputs.items()
        }
        return found, outputs


def _to_run(row: dict[str, Any], params: dict[str, str], tags: dict[str, str]) -> SourceRun:
    return SourceRun(
        id=row["run_uuid"],
        name=row.get("name") or tags.get(RUN_NAME) or "",
        status=to_status(row.get("status")),
        started_ms=row.get("start_time") or 0,
        ended_ms=row.get("end_time"),
        user=row.get("user_id") or "",
        is_deleted=row.get("lifecycle_stage") == "deleted",
        deleted_ms=row.get("deleted_time"),
        artifact_uri=row.get("artifact_uri") or "",
        params=params,
        tags=tags,
    )


def _to_dataset(row: dict[str, Any]) -> LoggedDataset:
    return LoggedDataset(
        name=row["name"],
        digest=row["digest"],
        source_type=row.get("dataset_source_type") or "",
        source=row.get("dataset_source") or "",
        schema=row.get("dataset_schema") or "",
        profile=row.get("dataset_profile") or "",
    )


def _to_logged_model(
    row: dict[str, Any], params: dict[str, str], tags: dict[str, str], points: tuple[ModelPoint, ...]
) -> SourceLoggedModel:
    return SourceLoggedModel(
        id=row["model_id"],
        name=row["name"],
        model_type=row.get("model_type") or "",
        source_run_id=row.get("source_run_id") or "",
        status=to_model_status(row.get("status")),
        status_message=row.get("status_message") or "",
        created_ms=row.get("creation_timestamp_ms") or 0,
        updated_ms=row.get("last_updated_timestamp_ms") or 0,
        is_deleted=row.get("lifecycle_stage") == "deleted",
        artifact_uri=row.get("artifact_location") or "",
        params=params,
        tags=tags,
        points=points,
    )


def _to_point(row: dict[str, Any]) -> ModelPoint:
    value = row.get("metric_value")
    number = to_infinity(np.array([float("nan") if value is None else value], np.float64))[0]
    return ModelPoint(
        model_id=row["model_id"],
        run_id=row.get("run_id") or "",
        key=row["metric_name"],
        step=row.get("metric_step") or 0,
        at=(row.get("metric_timestamp_ms") or 0) * 1_000,
        value=to_sortable(float(number)),
        dataset_name=row.get("dataset_name") or "",
        dataset_digest=row.get("dataset_digest") or "",
    )
