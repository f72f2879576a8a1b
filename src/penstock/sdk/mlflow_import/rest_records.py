"""What an MLflow server answers, as records."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.sdk.mlflow_import.points import to_infinity
from penstock.sdk.mlflow_import.source import (
    RUN_NAME,
    SourceExperiment,
    SourceLoggedModel,
    SourceModel,
    SourceRun,
    SourceVersion,
    to_model_status,
    to_status,
)
from penstock.tracking.inputs.types import DatasetInput, LoggedDataset, ModelOutput, RunInputs
from penstock.tracking.logged_models.points import ModelPoint
from penstock.tracking.tables import to_sortable

PROMPT = "mlflow.prompt.is_prompt"


def read_experiment(held: dict[str, Any]) -> SourceExperiment:
    """An experiment."""
    created = int(held.get("creation_time") or 0)
    return SourceExperiment(
        id=str(held["experiment_id"]),
        name=held["name"],
        created_ms=created,
        updated_ms=int(held.get("last_update_time") or created),
        is_deleted=held.get("lifecycle_stage") == "deleted",
        tags=_texts(held.get("tags")),
    )


def read_run(held: dict[str, Any]) -> SourceRun:
    """A run."""
    info, data = held["info"], held.get("data") or {}
    tags = _texts(data.get("tags"))
    ended = info.get("end_time")
    inputs, outputs = held.get("inputs") or {}, held.get("outputs") or {}
    return SourceRun(
        id=info.get("run_id") or info["run_uuid"],
        name=info.get("run_name") or tags.get(RUN_NAME) or "",
        status=to_status(info.get("status")),
        started_ms=int(info.get("start_time") or 0),
        ended_ms=None if ended is None else int(ended),
        user=info.get("user_id") or "",
        is_deleted=info.get("lifecycle_stage") == "deleted",
        deleted_ms=None,
        artifact_uri=info.get("artifact_uri") or "",
        params=_texts(data.get("params")),
        tags=tags,
        inputs=RunInputs(
            datasets=tuple(_read_dataset(each) for each in inputs.get("dataset_inputs") or ()),
            models=tuple(each["model_id"] for each in inputs.get("model_inputs") or ()),
        ),
        outputs=tuple(
            ModelOutput(model_id=each["model_id"], step=int(each.get("step") or 0))
            for each in outputs.get("model_outputs") or ()
        ),
    )


def read_logged_model(held: dict[str, Any]) -> SourceLoggedModel:
    """A logged model."""
    info, data = held["info"], held.get("data") or {}
    return SourceLoggedModel(
        id=info["model_id"],
        name=info["name"],
        model_type=info.get("model_type") or "",
        source_run_id=info.get("source_run_id") or "",
        status=to_model_status(info.get("status")),
        status_message=info.get("status_message") or "",
        created_ms=int(info.get("creation_timestamp_ms") or 0),
        updated_ms=int(info.get("last_updated_timestamp_ms") or 0),
        is_deleted=False,
        artifact_uri=info.get("artifact_uri") or "",
        params=_texts(data.get("params")),
        tags=_texts(info.get("tags")),
        points=tuple(_read_point(info["model_id"], each) for each in data.get("metrics") or ()),
    )


def read_model(held: dict[str, Any], versions: Sequence[SourceVersion]) -> SourceModel:
    """A registered model."""
    return SourceModel(
        name=held["name"],
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        description=held.get("description") or "",
        tags=_texts(held.get("tags")),
        aliases={each["alias"]: int(each["version"]) for each in held.get("aliases") or ()},
        versions=tuple(sorted(versions, key=lambda version: version.number)),
    )


def read_version(held: dict[str, Any]) -> SourceVersion:
    """A version of a registered model."""
    return SourceVersion(
        number=int(held["version"]),
        is_deleted=False,
        created_ms=int(held.get("creation_timestamp") or 0),
        updated_ms=int(held.get("last_updated_timestamp") or 0),
        stage=held.get("current_stage") or "None",
        description=held.get("description") or "",
        user=held.get("user_id") or "",
        source=held.get("source") or "",
        run_id=held.get("run_id") or "",
        run_link=held.get("run_link") or "",
        tags=_texts(held.get("tags")),
    )


def _read_dataset(held: dict[str, Any]) -> DatasetInput:
    dataset = held["dataset"]
    names = ("name", "digest", "source_type", "source", "schema", "profile")
    return DatasetInput(
        dataset=LoggedDataset(**{name: dataset.get(name) or "" for name in names}), tags=_texts(held.get("tags"))
    )


def _read_point(model_id: str, held: dict[str, Any]) -> ModelPoint:
    return ModelPoint(
        model_id=model_id,
        run_id=held.get("run_id") or "",
        key=held["key"],
        step=int(held.get("step") or 0),
        at=int(held.get("timestamp") or 0) * 1_000,
        value=to_sortable(float(to_infinity(np.array([held["value"]], np.float64))[0])),
        dataset_name=held.get("dataset_name") or "",
        dataset_digest=held.get("dataset_digest") or "",
    )


def _texts(pairs: list[dict[str, str]] | None) -> dict[str, str]:
    return {each["key"]: each.get("value") or "" for each in pairs or ()}
