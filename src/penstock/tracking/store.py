"""The SQL of tracking: one query per method, no rules."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    case,
    func,
    insert,
    literal,
    select,
    tuple_,
    type_coerce,
    update,
)

from penstock.core.ids import ExperimentId, Ref, RunId
from penstock.storage.columns import UtcTime
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.tables import (
    NAN,
    ExactFloat,
    artifacts,
    experiments,
    latest_metrics,
    metric_points,
    params,
    run_inputs,
    run_tags,
    runs,
    to_sortable,
)
from penstock.tracking.types import Artifact, Experiment, Metric, NonFinite, Run, RunStatus

_COLUMNS = [column for column in runs.c if column.name != "experiment_id"]
_LARGEST = 2**63 - 1
_SMALLEST = -(2**63)
_CHUNK = 500  # ids in one query


class TrackingStore:
    """Reads and writes the tables of tracking; prepares the statements that many callers share."""

    def __init__(self, db: Database) -> None:
        point = ("run_id", "key", "step", "at", "value")
        self.add_points = db.upsert(metric_points, keys=point, update=())
        self.keep_latest = db.upsert(latest_metrics, keys=point[:2], update=point[2:], newest_by=point[2:])
        self._add_params = db.upsert(params, keys=("run_id", "key"), update=())
        self._set_tags = db.upsert(run_tags, keys=("run_id", "key"), update=("value",))
        self._add_inputs = db.upsert(run_inputs, keys=("run_id", "source"), update=())
        self._set_artifact = db.upsert(
            artifacts, keys=("run_id", "path"), update=("digest", "size_bytes", "created_at")
        )

    def add_experiment(self, tx: Transaction, experiment: Experiment) -> None:
        """Insert an experiment."""
        tx.execute(insert(experiments).values(to_row(experiment)))

    def find_experiment(self, tx: Transaction, name: str) -> Experiment | None:
        """The experiment of that name."""
        row = tx.execute(select(experiments).where(experiments.c.name == name)).one_or_none()
        return None if row is None else from_row(Experiment, row)

    def list_experiments(self, tx: Transaction, limit: int, after: str) -> list[Experiment]:
        """Experiments by name, those behind `after`."""
        query = select(experiments).where(experiments.c.name > after).order_by(experiments.c.name).limit(limit)
        return [from_row(Experiment, row) for row in tx.execute(query)]

    def add_run(self, tx: Transaction, run: Run, experiment_id: ExperimentId) -> None:
        """Insert a run; its parameters, metrics and tags have rows of their own."""
        row = {name: value for name, value in to_row(run).items() if name in runs.c}
        tx.execute(insert(runs).values(row | {"experiment_id": experiment_id}))

    def find_run(self, tx: Transaction, run_id: RunId) -> Run | None:
        """A run without its parameters, metrics, tags and inputs."""
        row = tx.execute(_select_runs().where(runs.c.id == run_id)).one_or_none()
        return None if row is None else from_row(Run, row)

    def find_status(self, tx: Transaction, run_id: RunId) -> RunStatus | None:
        """Where a run stands."""
        status = tx.execute(select(runs.c.status).where(runs.c.id == run_id)).scalar_one_or_none()
        return None if status is None else RunStatus(status)

    def list_runs(
        self,
        tx: Transaction,
        *,
        experiment: str,
        status: RunStatus | None,
        parent: RunId | None,
        limit: int,
        after: RunId | None,
        order_by: str,
    ) -> list[Run]:
        """Runs in an order, those behind the run `after`; see `TrackingService.list_runs`."""
        query = _select_runs().limit(limit)
        if experiment:
            query = query.where(experiments.c.name == experiment)
        if status is not None:
            query = query.where(runs.c.status == status)
        if parent is not None:
            query = query.where(runs.c.parent == parent)
        query = self._in_order(tx, query, order_by, after)
        return [from_row(Run, row) for row in tx.execute(query)]

    def _in_order(self, tx: Transaction, query: Select[Any], order_by: str, after: RunId | None) -> Select[Any]:
        descending = order_by.startswith("-")
        name = order_by.removeprefix("-")
        rank: ColumnElement[Any] = runs.c.name if name == "name" else runs.c.started_at
        find_rank = select(runs.c.id)
        if name.startswith("metrics."):
            same_key = (latest_metrics.c.run_id == runs.c.id) & (latest_metrics.c.key == name.removeprefix("metrics."))
            query, find_rank = query.outerjoin(latest_metrics, same_key), find_rank.outerjoin(latest_metrics, same_key)
            rank = _metric_rank(descending)
        if after is not None:
            last = tx.execute(find_rank.add_columns(rank.label("rank")).where(runs.c.id == after)).one()
            place, border = tuple_(rank, runs.c.id), tuple_(literal(last.rank, rank.type), literal(after))
            query = query.where(place < border if descending else place > border)
        return query.order_by(*((rank.desc(), runs.c.id.desc()) if descending else (rank, runs.c.id)))

    def set_status(self, tx: Transaction, run_id: RunId, status: RunStatus, **more: Any) -> None:
        """Change the status, and with `started_at`, `ended_at` or `source` what goes with it."""
        tx.execute(update(runs).where(runs.c.id == run_id).values(status=status, **more))

    def add_metrics(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        """Add points (those known already stay single) and move the latest values on."""
        if rows:
            tx.execute(self.add_points, rows)
            tx.execute(self.keep_latest, rows)

    def add_params(self, tx: Transaction, run_id: RunId, given: dict[str, str]) -> dict[str, str]:
        """Add the parameters that are new, and return what the run now has under these keys."""
        if not given:
            return {}
        tx.execute(self._add_params, [{"run_id": run_id, "key": key, "value": given[key]} for key in given])
        held: dict[str, str] = {}
        for keys in _in_chunks(given):
            query = select(params.c.key, params.c.value).where(params.c.run_id == run_id, params.c.key.in_(keys))
            held.update((row.key, row.value) for row in tx.execute(query))
        return held

    def set_tags(self, tx: Transaction, run_id: RunId, tags: dict[str, str]) -> None:
        """Set tags; a tag that was there gets the new value."""
        if tags:
            tx.execute(self._set_tags, [{"run_id": run_id, "key": key, "value": tags[key]} for key in tags])

    def add_input(self, tx: Transaction, run_id: RunId, source: Ref, relation: str) -> None:
        """Note what a run read."""
        tx.execute(self._add_inputs, [{"run_id": run_id, "source": str(source), "relation": relation}])

    def params_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, str, str]]:
        """Run id, key and value of every parameter of these runs."""
        for chunk in _in_chunks(run_ids):
            query = select(params).where(params.c.run_id.in_(chunk)).order_by(params.c.run_id, params.c.key)
            yield from ((row.run_id, row.key, row.value) for row in tx.execute(query))

    def tags_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, str, str]]:
        """Run id, key and value of every tag of these runs."""
        for chunk in _in_chunks(run_ids):
            query = select(run_tags).where(run_tags.c.run_id.in_(chunk)).order_by(run_tags.c.run_id, run_tags.c.key)
            yield from ((row.run_id, row.key, row.value) for row in tx.execute(query))

    def metrics_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, Metric]]:
        """Run id and latest point of every metric of these runs."""
        table = latest_metrics
        for chunk in _in_chunks(run_ids):
            query = select(table).where(table.c.run_id.in_(chunk)).order_by(table.c.run_id, table.c.key)
            yield from ((row.run_id, _to_metric(row)) for row in tx.execute(query))

    def inputs_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, Ref]]:
        """Run id and source of every input of these runs."""
        for chunk in _in_chunks(run_ids):
            query = select(run_inputs).where(run_inputs.c.run_id.in_(chunk)).order_by(run_inputs.c.source)
            yield from ((row.run_id, Ref.parse(row.source)) for row in tx.execute(query))

    def list_points(self, tx: Transaction, run_id: RunId, key: str, limit: int, after: Metric | None) -> list[Metric]:
        """A metric's points by step, time and value, those behind `after`."""
        table = metric_points
        query = select(table).where(table.c.run_id == run_id, table.c.key == key).limit(limit)
        place = (table.c.step, table.c.at, table.c.value)
        if after is not None:
            border = (literal(after.step), literal(after.at, UtcTime), literal(after.number, ExactFloat))
            query = query.where(tuple_(*place) > tuple_(*border))
        query = query.order_by(*place)
        return [_to_metric(row) for row in tx.execute(query)]

    def each_point(self, tx: Transaction, run_id: RunId) -> Iterator[tuple[str, int, int, int]]:
        """Key, step, time and value of every point of a run in the order of the table, times and values as stored."""
        columns = (type_coerce(metric_points.c[name], BigInteger).label(name) for name in ("step", "at", "value"))
        query = select(metric_points.c.key, *columns).where(metric_points.c.run_id == run_id)
        for row in tx.execute(query.order_by("key", "step", "at", "value")):
            yield row.key, row.step, row.at, row.value

    def set_artifact(self, tx: Transaction, run_id: RunId, artifact: Artifact) -> None:
        """Note a file under its path; a later file of the same path takes its place."""
        tx.execute(self._set_artifact, [to_row(artifact) | {"run_id": run_id}])

    def find_artifact(self, tx: Transaction, run_id: RunId, path: str) -> Artifact | None:
        """The file of a run under a path."""
        query = select(artifacts).where(artifacts.c.run_id == run_id, artifacts.c.path == path)
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(Artifact, row)

    def list_artifacts(self, tx: Transaction, run_id: RunId, limit: int, after: str) -> list[Artifact]:
        """A run's files by path, those behind `after`."""
        query = select(artifacts).where(artifacts.c.run_id == run_id, artifacts.c.path > after)
        return [from_row(Artifact, row) for row in tx.execute(query.order_by(artifacts.c.path).limit(limit))]

    def count_runs(self, tx: Transaction) -> dict[str, int]:
        """How many runs each experiment holds."""
        held = func.count(runs.c.id).label("held")
        query = select(experiments.c.name, held).select_from(runs).join(experiments).group_by(experiments.c.name)
        return {row.name: row.held for row in tx.execute(query)}


def _select_runs() -> Select[Any]:
    columns = (*_COLUMNS, experiments.c.name.label("experiment"))
    return select(*columns).join(experiments, experiments.c.id == runs.c.experiment_id)


def _metric_rank(descending: bool) -> ColumnElement[int]:
    """A metric's value as a number that sorts runs without one last in both directions, and NaN just before them."""
    missing, not_a_number = (_SMALLEST, _SMALLEST + 1) if descending else (_LARGEST, _LARGEST - 1)
    value = type_coerce(latest_metrics.c.value, BigInteger)
    return case((value == to_sortable(NAN), not_a_number), else_=func.coalesce(value, missing))


def _to_metric(row: Any) -> Metric:
    return Metric(row.key, to_wire(row.value), row.step, row.at)


def to_wire(value: float) -> float | NonFinite:
    """The value in the form that JSON can carry."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _in_chunks(values: Iterable[str]) -> Iterator[list[str]]:
    held = list(values)
    for start in range(0, len(held), _CHUNK):
        yield held[start : start + _CHUNK]
