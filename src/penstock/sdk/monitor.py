"""`penstock.monitor`: predictions of a model that is served elsewhere, watched like those of ours."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from penstock.catalogue.services import Services
from penstock.core.clock import parse_duration
from penstock.core.errors import InvalidInputError
from penstock.core.project.rates import parse_rate
from penstock.core.project.types import MonitorSection, OutcomesSection, PerformanceSection, Task
from penstock.monitoring.external.ingest import Logged, log_rows
from penstock.monitoring.external.outcome_rows import read_outcome_rows
from penstock.monitoring.external.rows import Roles
from penstock.monitoring.external.watch import ExternalWatch
from penstock.monitoring.service import MonitoringService
from penstock.predictions.types import OutcomesAdded
from penstock.registry.format.types import Label
from penstock.sdk.connect import connect

__all__ = ["Logged", "log", "outcomes", "watch"]

BATCH = 5_000


def log(
    frame: Any,
    deployment: str,
    *,
    prediction: str = "",
    score: str = "",
    time: str = "",
    id: str = "",
    key: str = "",
    label: str = "",
    label_time: str = "",
    inputs: Sequence[str] = (),
    task: Task | None = None,
    version: int = 1,
    classes: Sequence[Label] | None = None,
    reference: Any = None,
    skip_wrong: bool = False,
    services: Services | None = None,
) -> Logged:
    """Log predictions that were made elsewhere; the same rows logged twice count once.

    Args:
        frame: a row per prediction: a polars DataFrame, a mapping of columns, an Arrow table, or any frame that speaks
            the Arrow PyCapsule interface, as pandas does.
        deployment: a name for what answers; it is made when there is none of this name.
        prediction: the column with the answer: a class, a number, or for a ranking the list of items.
        score: the column with the probability of the positive class, of two.
        time: the column that says when the prediction was made; without one it was just now.
        id: the column that names the row, and its outcome later.
        key: the column that says whom it is about; rows of one key are taken as alike.
        label: the column with what turned out to be true; empty cells are not known yet.
        label_time: the column that says when that happened; without one it was known at once.
        inputs: the columns that are watched; without any, all that have no other meaning.
        task: of the model: binary, multiclass, regression or ranking; needed the first time.
        version: of the model that answered.
        classes: of a classifier, the positive one last; without any, those that the rows show.
        reference: rows that the inputs are held against, such as those it was trained on; else the first rows logged.
        skip_wrong: leave out rows that are wrong, and say how many, instead of refusing all.
        services: where to; None: `penstock.connect()`.

    Returns:
        How many rows and outcomes were new.

    Raises:
        InvalidInputError: rows or columns are wrong; they are named, and none is taken.
        ConflictError: the deployment is served here, or its task is another.
    """
    roles = Roles(
        time=time,
        prediction=prediction,
        score=score,
        label=label,
        label_time=label_time,
        id=id,
        key=key,
        inputs=tuple(inputs),
    )
    with _opened(services) as opened:
        logged = log_rows(
            opened,
            deployment,
            read_frame(frame),
            roles,
            task=task,
            version=version,
            classes=None if classes is None else list(classes),
            reference=None if reference is None else read_frame(reference),
            skip_wrong=skip_wrong,
        )
        work_off(opened)
    return logged


def watch(
    deployment: str,
    task: Task,
    *,
    window: str = "1d",
    false_alarms: str = "1 per 90d",
    metric: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    columns: Sequence[str] = (),
    keep_inputs: str = "",
    outcomes: OutcomesSection | None = None,
    services: Services | None = None,
) -> None:
    """Say how a deployment that is served elsewhere is watched: what `[monitor]` and `[outcomes]` say of a project.

    Args:
        deployment: its name.
        task: of its model.
        window: of event time.
        false_alarms: the budget.
        metric: by which its performance is measured and alarms; empty: performance is shown and alarms nobody.
        at_least: the bar of that metric.
        at_most: likewise.
        columns: the inputs that are watched; empty for all.
        keep_inputs: how long inputs stay in the prediction log; empty: for ever.
        outcomes: how outcomes belong to predictions.
        services: where; None: `penstock.connect()`.

    Raises:
        InvalidInputError: a setting is none.
        ConflictError: the deployment is served here, or its task is another.
    """
    if not metric and (at_least, at_most) != (None, None):
        raise InvalidInputError("a bar needs to know its metric", hint="name the metric", field="metric")
    try:
        monitor = MonitorSection(
            window=parse_duration(window),
            false_alarms=parse_rate(false_alarms),
            performance=PerformanceSection(metric=metric, at_least=at_least, at_most=at_most) if metric else None,
            columns=tuple(columns),
            keep_inputs=parse_duration(keep_inputs) if keep_inputs else None,
        )
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
    with _opened(services) as opened:
        opened.external.declare(deployment, task, monitor, outcomes)


def outcomes(
    frame: Any,
    deployment: str,
    *,
    entity: str,
    value: str,
    time: str,
    services: Services | None = None,
) -> OutcomesAdded:
    """Say what really happened, by the key or id of the predictions; sending it twice changes nothing.

    Args:
        frame: a row per outcome, as of `log`.
        deployment: what answered; one that is served here, too.
        entity: the column that says of whom or what, as the key or the id of the predictions does.
        value: the column with what turned out to be true.
        time: the column that says when it happened.
        services: where to; None: `penstock.connect()`.

    Raises:
        InvalidInputError: rows or columns are wrong; they are named, and none is taken.
    """
    found = read_outcome_rows(read_frame(frame), entity=entity, value=value, time=time)
    accepted = repeated = conflicting = 0
    with _opened(services) as opened:
        for start in range(0, max(len(found), 1), BATCH):
            added = opened.predictions.add_entity_outcomes(deployment, found[start : start + BATCH])
            accepted, repeated = accepted + added.accepted, repeated + added.repeated
            conflicting += added.conflicting
        work_off(opened)
    return OutcomesAdded(accepted, repeated, conflicting=conflicting)


def read_frame(frame: Any) -> pl.DataFrame:
    """Rows in any of the forms that `log` takes.

    Raises:
        InvalidInputError: it is no table.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    try:
        if isinstance(frame, Mapping):
            return pl.DataFrame(dict(frame))
        if hasattr(frame, "__arrow_c_stream__"):
            return pl.DataFrame(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise InvalidInputError(f"the rows are no table: {error}") from error
    raise InvalidInputError(
        f"{type(frame).__name__} is no table",
        hint="give a polars DataFrame, a mapping of columns, or a table that speaks Arrow",
    )


def work_off(services: Services) -> None:
    """Let the monitor look at once at what came in for deployments that are served elsewhere, where no server does."""
    if isinstance(services.monitoring, MonitoringService):
        ExternalWatch(services).tick()


@contextlib.contextmanager
def _opened(services: Services | None) -> Iterator[Services]:
    opened = services or connect()
    try:
        yield opened
    finally:
        if services is None:
            opened.close()
