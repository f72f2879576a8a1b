"""Found runs as the records that every other verb of tracking answers with."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct

from penstock.core.ids import ExperimentId, Ref, RunId
from penstock.storage.columns import from_microseconds
from penstock.storage.records import fetch
from penstock.storage.transaction import Transaction
from penstock.tracking.search.parts import FoundRun, LatestMetric
from penstock.tracking.store import to_wire
from penstock.tracking.types import Metric, Run, RunSource, RunStatus

_AT_ONCE = 500  # runs


class _Pair(Struct, gc=False):
    key: str
    value: str


_pairs = msgspec.json.Decoder(list[_Pair])
_source = msgspec.json.Decoder(RunSource)


def to_runs(tx: Transaction, found: Sequence[FoundRun]) -> list[Run]:
    """The same runs with their experiment's name, source and inputs."""
    return [run for start in range(0, len(found), _AT_ONCE) for run in _to_runs(tx, found[start : start + _AT_ONCE])]


def _to_runs(tx: Transaction, found: Sequence[FoundRun]) -> Iterator[Run]:
    if not found:
        return
    numbers = [run.number for run in found]
    marks = ", ".join("?" * len(numbers))
    more = fetch(
        tx.connection,
        "SELECT runs.number, experiments.name, runs.source FROM runs "
        f"JOIN experiments ON experiments.id = runs.experiment_id WHERE runs.number IN ({marks})",
        numbers,
    )
    inputs: dict[int, list[Ref]] = {}
    asked = f"SELECT run, source FROM run_inputs WHERE run IN ({marks}) ORDER BY source"
    for number, source in fetch(tx.connection, asked, numbers):
        inputs.setdefault(number, []).append(Ref.parse(source))
    rest = {number: (name, _source.decode(source)) for number, name, source in more}
    for run in found:
        experiment, source = rest[run.number]
        yield _to_run(run, experiment, source, tuple(inputs.get(run.number, ())))


def _to_run(found: FoundRun, experiment: str, source: RunSource, inputs: tuple[Ref, ...]) -> Run:
    ended, deleted = found.ended_at, found.deleted_at
    return Run(
        id=RunId(found.id),
        experiment=experiment,
        experiment_id=ExperimentId(found.experiment_id),
        name=found.name,
        status=RunStatus(found.status),
        started_at=from_microseconds(found.started_at),
        ended_at=None if ended is None else from_microseconds(ended),
        deleted_at=None if deleted is None else from_microseconds(deleted),
        created_by=found.created_by,
        artifact_uri=found.artifact_uri,
        parent=None if found.parent is None else RunId(found.parent),
        source=source,
        params=_to_dict(found.params),
        metrics={metric[0]: _to_metric(metric) for metric in found.metrics},
        tags=_to_dict(found.tags),
        inputs=inputs,
    )


def _to_dict(pairs: Raw) -> dict[str, str]:
    return {pair.key: pair.value for pair in _pairs.decode(pairs)}


def _to_metric(metric: LatestMetric) -> Metric:
    key, value, step, at = metric
    return Metric(key, to_wire(value), step, from_microseconds(at))
