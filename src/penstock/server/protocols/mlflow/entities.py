"""Experiments, runs and metrics as the protocol shows them; what is at its default is left out."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.server.protocols.mlflow.errors import invalid
from penstock.tracking.locations import experiment_location
from penstock.tracking.types import Experiment, Metric, NonFinite, Run, RunStatus, View

_EXPERIMENT_ID = re.compile(r"-?[0-9]{1,64}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
LAST_MS = 253_402_300_799_999  # the end of the year 9999
STATUS_NAMES = {status: status.name for status in RunStatus}
STATUSES = {name: status for status, name in STATUS_NAMES.items()}
VIEWS = {"ACTIVE_ONLY": View.ACTIVE, "DELETED_ONLY": View.DELETED, "ALL": View.ALL}
RUN_NAME, USER, PARENT = "mlflow.runName", "mlflow.user", "mlflow.parentRunId"


class KeyValue(Struct):
    """A tag or parameter."""

    key: str
    value: str = ""


class WireExperiment(Struct, omit_defaults=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[KeyValue] = []


class WireMetric(Struct, omit_defaults=True):
    """A metric point; a number that JSON has no form for is a text."""

    key: str
    value: float | NonFinite
    timestamp: int
    step: int | None = None  # always there but never at its default


class WireRunInfo(Struct, omit_defaults=True):
    """What a run is, without what was logged to it."""

    run_uuid: str
    run_id: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    end_time: int | None = None


class WireRunData(Struct, omit_defaults=True):
    """What was logged to a run."""

    metrics: list[WireMetric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class WireTags(Struct, omit_defaults=True):
    """What was said of an input."""

    key: str
    value: str


class WireRun(Struct, omit_defaults=True):
    """A run."""

    info: WireRunInfo
    data: WireRunData
    inputs: Struct | None = None
    outputs: Struct | None = None


def to_experiment(held: Experiment) -> WireExperiment:
    """An experiment in the protocol's form."""
    return WireExperiment(
        experiment_id=str(held.id),
        name=held.name,
        artifact_location=experiment_location(held.id, held.artifact_location),
        lifecycle_stage=_stage(held.deleted_at),
        last_update_time=to_ms(held.updated_at),
        creation_time=to_ms(held.created_at),
        tags=to_pairs(held.tags),
    )


def to_run_info(run: Run) -> WireRunInfo:
    """What a run is, in the protocol's form."""
    return WireRunInfo(
        run_uuid=run.id,
        run_id=run.id,
        experiment_id=str(run.experiment_id),
        run_name=run.name,
        user_id=run.created_by,
        status=STATUS_NAMES[run.status],
        start_time=to_ms(run.started_at),
        end_time=None if run.ended_at is None else to_ms(run.ended_at),
        artifact_uri=run.artifact_uri,
        lifecycle_stage=_stage(run.deleted_at),
    )


def to_run(run: Run) -> WireRun:
    """A run in the protocol's form; its name stands among the tags as well."""
    data = WireRunData(
        metrics=[to_metric(metric) for metric in run.metrics.values()],
        params=to_pairs(run.params),
        tags=to_pairs({**run.tags, RUN_NAME: run.name}),
    )
    return WireRun(to_run_info(run), data)


def to_metric(metric: Metric) -> WireMetric:
    """A point in the protocol's form."""
    assert metric.at is not None  # what is read back has a time
    return WireMetric(metric.key, metric.value, to_ms(metric.at), metric.step)


def to_pairs(texts: Mapping[str, str]) -> list[KeyValue]:
    """Tags or parameters as a list, by key."""
    return [KeyValue(key, texts[key]) for key in sorted(texts)]


def from_pairs(pairs: list[KeyValue], what: str) -> dict[str, str]:
    """A list of tags as a dict; of a key that stands there twice the last one counts."""
    return {pair.key: pair.value for pair in pairs}


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(value: int, parameter: str) -> datetime:
    """The moment that a number of milliseconds means.

    Raises:
        InvalidInputError: it lies before 1970 or after the year 9999.
    """
    if not 0 <= value <= LAST_MS:
        raise invalid(parameter, value, "it must be the milliseconds since 1970, up to the year 9999")
    return _EPOCH + value * _MILLISECOND


def parse_experiment_id(text: str, parameter: str = "experiment_id") -> int:
    """The number of an experiment; one that no experiment can have is negative.

    Raises:
        InvalidInputError: it is no experiment's id at all.
    """
    if not _EXPERIMENT_ID.fullmatch(text):
        told = f"Invalid experiment ID {text[:64]!r}. Experiment ID must be a valid integer; it stands in '{parameter}'"
        raise InvalidInputError(told, field=parameter)
    return int(text) if abs(int(text)) < 2**63 else -1


def parse_view(name: str, parameter: str) -> View:
    """Active things, deleted ones or both.

    Raises:
        InvalidInputError: the protocol has no such view.
    """
    if name not in VIEWS:
        raise invalid(parameter, name, f"known here: {', '.join(VIEWS)}")
    return VIEWS[name]


def parse_status(name: str, parameter: str) -> RunStatus:
    """Where a run stands.

    Raises:
        InvalidInputError: the protocol has no such status.
    """
    status = STATUSES.get(name)
    if status is None:
        raise InvalidInputError(
            f"Invalid value \"{name[:100]}\" for parameter '{parameter}' supplied: known here: {', '.join(STATUSES)}",
            field=parameter,
        )
    return status


def _stage(deleted_at: datetime | None) -> str:
    return "active" if deleted_at is None else "deleted"
