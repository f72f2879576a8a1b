"""Each column that may hold the digest of an object is one that the object is kept for, or says why it is not."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator

import pytest
from msgspec import Struct
from sqlalchemy import Column

import penstock
from penstock.catalogue import services
from penstock.core.ids import Digest
from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.monitoring.external.service import ExternalService
from penstock.monitoring.service import MonitoringService
from penstock.pipelines.service import PipelineService
from penstock.predictions.service import PredictionService
from penstock.registry.service import RegistryService
from penstock.serving.service import ServingService
from penstock.storage.columns import Json, metadata
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.artifacts.uploads import Uploads
from penstock.tracking.new_runs import keep_source

LENGTH = 64  # of a digest as text
IDS = ("id", "_id", "run", "spool", "parent", "episode")  # how the names of columns end that hold an id of that length

KEPT: dict[str, Callable[..., object]] = {  # by whom
    "artifact_upload_parts.digest": Uploads.add_part,
    "artifacts.digest": ArtifactService.log_file.fn,
    "check_reports.quarantine": DatasetService._add_report,
    "check_reports.tree": DatasetService.record_check_report.fn,  # of an accepted one: the version, and the quarantine
    "dataset_splits.tree": DatasetService.record_split.fn,
    "dataset_versions.tree": DatasetService._keep_version,
    "external_versions.reference": ExternalService.add_version.fn,
    "model_versions.fast_tree": RegistryService.set_fast_form.fn,
    "model_versions.reference": RegistryService._add_version,
    "model_versions.tree": RegistryService._add_version,
    "monitoring_references.sketch": MonitoringService.record_reference.fn,
    "monitoring_windows.estimate": MonitoringService.record_window.fn,
    "monitoring_windows.kept": MonitoringService.record_window.fn,
    "monitoring_windows.loss": MonitoringService.record_window.fn,
    "monitoring_windows.sketches": MonitoringService.record_window.fn,
    "monitoring_windows.watches": MonitoringService.record_window.fn,
    "pipeline_runs.candidate": PipelineService.finish_run.fn,
    "pipeline_runs.probe": PipelineService.request_run.fn,
    "pipeline_runs.probed": PipelineService.finish_probe.fn,
    "pipeline_steps.output": PipelineService.record_step.fn,
    "reports.content": EvaluationService.record_report.fn,
    "revisions.tree": ServingService._add_revision,
    "runs.source": keep_source,
    "segments.digest": PredictionService.add_segment.fn,
}
NOT_KEPT = {
    "audit_events.digest": "of an entry of the log, which is in the database",
    "audit_events.previous": "of the entry before",
    "dataset_versions.files": "of files of the version's tree, which leads to them",
    "idempotency_keys.arguments_digest": "of a call, to tell it from another",
    "logged_datasets.digest": "what a client of MLflow calls its data; nothing of it is here",
    "logged_model_metrics.dataset_digest": "what a client of MLflow calls its data; nothing of it is here",
    "model_signatures.tree": "what was signed; its version keeps it",
    "model_signatures.signer": "of a key",
    "model_signers.fingerprint": "of a key",
    "monitoring_references.sample": "what the sketch was made of; the model version keeps it",
    "object_references.digest": "the references themselves",
    "pipeline_steps.key": "of all that the step depends on, to tell it from another",
    "sessions.digest": "of a secret",
    "tokens.digest": "of a secret",
    "trust_decisions.tree": "what was decided on; its version keeps it, or it lies elsewhere",
    "verdicts.content": "of a report, which is in the database",
}


def list_columns() -> Iterator[Column[typing.Any]]:
    """Those whose name, length or type says that they may hold a digest."""
    records = list(_records())
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, Json):
                if _may_mention(column, records):
                    yield column
            elif not column.name.endswith(IDS):
                is_long = getattr(column.type, "length", None) == LENGTH
                if is_long or any(word in column.name for word in ("digest", "tree", "hash")):
                    yield column


def _records() -> Iterator[type[Struct]]:
    """Every record of every noun."""
    for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
        if module.name.rpartition(".")[2] == "types":
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, Struct):
                    yield value


def _may_mention(column: Column[typing.Any], records: list[type[Struct]]) -> bool:
    """Whether a column of JSON may hold a digest, as the fields of its name say; it may where there are none."""
    fields = [typing.get_type_hints(each)[column.name] for each in records if column.name in each.__struct_fields__]
    return not fields or any(_mentions(field) for field in fields)


def _mentions(hint: object, seen: frozenset[object] = frozenset()) -> bool:
    if hint is Digest:
        return True
    if hint in seen:
        return False
    if isinstance(hint, type) and issubclass(hint, Struct):
        return any(_mentions(each, seen | {hint}) for each in typing.get_type_hints(hint).values())
    return any(_mentions(each, seen) for each in typing.get_args(hint)) if not isinstance(hint, str) else False


def test_every_column_that_may_hold_a_digest_is_kept_for_or_says_why_not() -> None:
    assert services.ROUTES  # with which every noun's tables are known
    found = {str(column) for column in list_columns()}
    assert found == {*KEPT, *NOT_KEPT}


@pytest.mark.parametrize("column", KEPT)
def test_who_keeps_the_objects_of_a_column_does(column: str) -> None:
    assert "keep_objects(tx, " in inspect.getsource(KEPT[column])
