"""What a page of runs shows, read in four statements: the database writes params and tags as JSON, one text a run."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct
from sqlalchemy import Connection

from penstock.storage.records import fetch

_AT_ONCE = 500  # runs
_NOTHING = Raw(b"[]")
_OF_RUNS = "FROM {table} WHERE run IN ({runs}) GROUP BY run"
_TEXTS = {
    "sqlite": f"SELECT run, json_group_array(json_object('key', key, 'value', value)) {_OF_RUNS}",
    "postgresql": f"SELECT run, json_agg(json_build_object('key', key, 'value', value) ORDER BY key)::text {_OF_RUNS}",
}
_METRICS = {
    "sqlite": f"SELECT run, json_group_array(json_array(key, step, at, value)) {_OF_RUNS}",
    "postgresql": f"SELECT run, json_agg(json_build_array(key, step, at, value) ORDER BY key)::text {_OF_RUNS}",
}
_RUNS = (
    "SELECT number, id, experiment_id, name, status, started_at, ended_at, deleted_at, created_by, artifact_uri, "
    "parent FROM runs WHERE number IN ({runs})"
)
_points = msgspec.json.Decoder(list[tuple[str, int, int, int]])


# Key, value (NaN and infinities included), step, and microseconds since 1970. A record for each of the thousands on a
# page would take as long as the statement that reads them.
LatestMetric = tuple[str, float, int, int]


class FoundRun(Struct, frozen=True):
    """A run as a search gives it: in the form that is cheapest to read and to send on.

    Attributes:
        started_at: microseconds since 1970, as all times here.
        params: a JSON list of objects with `key` and `value`, ready to be sent.
        tags: the same of the tags.
        metrics: the latest point of each key.
    """

    number: int
    id: str
    experiment_id: int
    name: str
    status: str
    started_at: int
    ended_at: int | None
    deleted_at: int | None
    created_by: str
    artifact_uri: str
    parent: str | None
    params: Raw = _NOTHING
    tags: Raw = _NOTHING
    metrics: Sequence[LatestMetric] = ()


def read_runs(connection: Connection, numbers: Sequence[int]) -> list[FoundRun]:
    """The runs with these numbers, in this order."""
    found: list[FoundRun] = []
    for start in range(0, len(numbers), _AT_ONCE):
        found += _read(connection, numbers[start : start + _AT_ONCE])
    return found


def _read(connection: Connection, numbers: Sequence[int]) -> Iterator[FoundRun]:
    dialect = connection.dialect.name
    runs = ", ".join("?" * len(numbers))

    def ask(text: str, table: str = "") -> list[tuple[Any, ...]]:
        return fetch(connection, text.format(runs=runs, table=table), numbers)

    params = {run: Raw(text.encode()) for run, text in ask(_TEXTS[dialect], "params")}
    tags = {run: Raw(text.encode()) for run, text in ask(_TEXTS[dialect], "run_tags")}
    metrics = _to_metrics(ask(_METRICS[dialect], "metric_series"))
    rows = {row[0]: row for row in ask(_RUNS)}
    for number in filter(rows.__contains__, numbers):
        parts = params.get(number, _NOTHING), tags.get(number, _NOTHING), metrics.get(number, ())
        yield FoundRun(*(*rows[number], *parts))


def _to_metrics(rows: list[tuple[int, str]]) -> dict[int, list[LatestMetric]]:
    """The metrics by run; all values are turned from sortable integers to floats at once."""
    points = [_points.decode(text) for _, text in rows]
    bits = np.array([point[3] for held in points for point in held], dtype=np.int64)
    values = iter(np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits).view(np.float64).tolist())
    return {
        run: [(key, next(values), step, at) for key, step, at, _ in held]
        for (run, _), held in zip(rows, points, strict=True)
    }
