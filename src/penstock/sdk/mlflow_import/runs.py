"""One run on its way: as the source has it, as penstock keeps it, and what is still missing."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from penstock.catalogue.services import Services
from penstock.core.ids import ExperimentId, RunId
from penstock.sdk.mlflow_import.source import PARENT, Source, SourceExperiment, SourceFile, SourceRun
from penstock.tracking.artifacts.homes import run_home
from penstock.tracking.batch import BATCH_LIMIT
from penstock.tracking.histories import History
from penstock.tracking.taking_over import (
    MetricSummary,
    RunSummary,
    TakenRun,
    summarize,
    summarize_points,
    to_batch,
    to_moment,
)

_PAGE = 1_000  # artifacts
_USER_LIMIT = 250  # characters
_PROXIED = "mlflow-artifacts:"


class RunFiles(Struct, frozen=True):
    """The artifacts of a run in the source; where they cannot be read, why."""

    files: tuple[SourceFile, ...] = ()
    problem: str = ""


def to_taken(run: SourceRun, experiment_id: ExperimentId, *, keeps_uri: bool) -> TakenRun:
    """A run as penstock keeps it; with `keeps_uri` its artifacts stay where they are, if clients can go there."""
    stays = keeps_uri and run.artifact_uri and not run.artifact_uri.startswith(_PROXIED)
    parent = run.tags.get(PARENT)
    return TakenRun(
        id=RunId(run.id),
        experiment_id=experiment_id,
        name=run.name or f"run-{run.id[-6:]}",
        status=run.status,
        started_at=to_moment(run.started_ms),
        ended_at=None if run.ended_ms is None else to_moment(run.ended_ms),
        created_by=run.user[:_USER_LIMIT],
        artifact_uri=run.artifact_uri if stays else "",
        parent=RunId(parent) if parent else None,
        params=run.params,
        tags=run.tags,
    )


def summarize_source(source: Source, home: SourceExperiment, run: SourceRun, taken: TakenRun) -> RunSummary:
    """The run in the words of `TakingOverService.summarize_run`."""
    metrics: dict[str, MetricSummary] = {}
    for key in run.metrics:
        held = source.read_points(run, key)
        if len(held):
            metrics[key] = summarize_points(held.at, held.steps, held.values)
    deleted_ms = find_deletion(home, run)
    return summarize(taken, metrics, None if deleted_ms is None else to_moment(deleted_ms))


def find_deletion(home: SourceExperiment, run: SourceRun) -> int | None:
    """When a run was deleted, in milliseconds; one that went with its experiment went at the same moment.

    So it comes back with its experiment, too. MLflow marks the runs some milliseconds after the experiment.
    """
    if not run.is_deleted:
        return None
    if home.is_deleted and (run.deleted_ms is None or run.deleted_ms >= home.updated_ms):
        return home.updated_ms
    return next((each for each in (run.deleted_ms, run.ended_ms) if each is not None), run.started_ms)


def list_kept(services: Services, run_id: RunId) -> dict[str, int]:
    """The sizes of the artifacts of a run that are here, by their paths."""
    kept: dict[str, int] = {}
    after = ""
    while True:
        page = services.artifacts.list_artifacts(run_id, _PAGE, after)
        kept.update((each.path, each.size_bytes) for each in page)
        if len(page) < _PAGE:
            return kept
        after = page[-1].path


def send_points(services: Services, run_id: RunId, key: str, held: History) -> None:
    """Write the points of a metric, in batches."""
    for start in range(0, len(held), BATCH_LIMIT):
        part = slice(start, start + BATCH_LIMIT)
        batch = to_batch(key, held.at[part].tolist(), held.steps[part].tolist(), held.values[part].tolist())
        services.taking_over.take_over_points(run_id, batch)


def send_file(services: Services, source: Source, run: SourceRun, file: SourceFile) -> None:
    """Copy an artifact."""
    with source.open_file(run, file) as path:
        digest = services.objects.put_file(path)
        size = path.stat().st_size
    services.artifacts.log_file(run_home(run.id), file.path, digest, size)


def find_missing(files: tuple[SourceFile, ...], kept: Mapping[str, int]) -> Iterator[SourceFile]:
    """The artifacts that are not here, or are here with another size."""
    return (file for file in files if kept.get(file.path) != file.size_bytes)
