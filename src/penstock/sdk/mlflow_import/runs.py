"""One run on its way: as the source has it, as penstock keeps it, and how the two differ."""

from collections.abc import Iterator, Mapping

from penstock.catalogue.services import Services
from penstock.core.ids import ExperimentId, RunId
from penstock.sdk.mlflow_import.source import PARENT, SourceExperiment, SourceRun
from penstock.tracking.histories import History
from penstock.tracking.places import BATCH_LIMIT
from penstock.tracking.tables import Point
from penstock.tracking.taking_over import (
    RunSummary,
    TakenRun,
    summarize,
    summarize_points,
    to_batch,
    to_moment,
)

USER_LIMIT = 200  # characters
_PROXIED = "mlflow-artifacts:"


def to_taken(run: SourceRun, experiment_id: ExperimentId, *, keeps_uri: bool) -> TakenRun:
    """A run as penstock keeps it; with `keeps_uri` its artifacts stay where they are, if clients can go there."""
    parent = run.tags.get(PARENT)
    return TakenRun(
        id=RunId(run.id),
        experiment_id=experiment_id,
        name=run.name or f"run-{run.id[-6:]}",
        status=run.status,
        started_at=to_moment(run.started_ms),
        ended_at=None if run.ended_ms is None else to_moment(run.ended_ms),
        created_by=run.user[:USER_LIMIT],
        artifact_uri=stays_at(run.artifact_uri) if keeps_uri else "",
        parent=RunId(parent) if parent else None,
        params=run.params,
        tags=run.tags,
        inputs=run.inputs,
        outputs=run.outputs,
    )


def stays_at(uri: str) -> str:
    """Where artifacts are that are not copied, if clients can go there; else empty."""
    return "" if uri.startswith(_PROXIED) else uri


def summarize_source(
    home: SourceExperiment, run: SourceRun, taken: TakenRun, held: Mapping[str, History]
) -> RunSummary:
    """The run with its points in the words of `TakingOverService.summarize_run`."""
    metrics = {key: summarize_points(each.at, each.steps, each.values) for key, each in held.items() if len(each)}
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


def send_points(services: Services, run_id: RunId, histories: Mapping[str, History]) -> None:
    """Write the points of metrics, in batches as large as may be."""
    batch: list[Point] = []
    for key, held in histories.items():
        start = 0
        while start < len(held):
            part = slice(start, start + BATCH_LIMIT - len(batch))
            batch += to_batch(key, held.at[part].tolist(), held.steps[part].tolist(), held.values[part].tolist())
            start = part.stop
            if len(batch) == BATCH_LIMIT:
                services.taking_over.take_over_points(run_id, batch)
                batch = []
    if batch:
        services.taking_over.take_over_points(run_id, batch)


def compare_run(wanted: RunSummary, here: RunSummary) -> Iterator[str]:
    """What differs between a run in the source and here."""
    if wanted.params != here.params:
        yield f"{here.params} parameters here and {wanted.params} in the source"
    if wanted.tags != here.tags:
        yield f"{here.tags} tags here and {wanted.tags} in the source"
    if wanted.head != here.head:
        yield "name, status, times, user, parameters or tags differ"
    if wanted.links != here.links:
        yield "datasets and models that it read or made differ"
    if wanted.deleted_at != here.deleted_at:
        yield "it was deleted at another time, or on one side only"
    for key in sorted(wanted.metrics.keys() | here.metrics.keys()):
        there, held = wanted.metrics.get(key), here.metrics.get(key)
        if there is None or held is None:
            yield f"metric {key!r} is {'missing' if held is None else 'here only'}"
        elif there.points != held.points:
            yield f"metric {key!r} has {held.points} points here and {there.points} in the source"
        elif there != held:
            yield f"metric {key!r} has other points"
