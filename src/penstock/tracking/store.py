"""The SQL of runs: one query per method, no rules."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    delete,
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
from penstock.storage.records import Prepared, fetch, marks
from penstock.storage.rows import from_row
from penstock.storage.transaction import Transaction
from penstock.tracking.tables import (
    NAN,
    ExactFloat,
    experiments,
    metric_points,
    metric_series,
    params,
    run_inputs,
    run_tags,
    runs,
    to_sortable,
)
from penstock.tracking.types import Metric, NonFinite, Run, RunStatus

_COLUMNS = [column for column in runs.c if column.name not in ("number", "sealed_at")]
_LARGEST = 2**63 - 1
_SMALLEST = -(2**63)
_CHUNK = 500  # ids in one query


class TrackingStore:
    """Reads and writes runs and what belongs to them; facts are written by `facts.FactKind`."""

    def __init__(self, db: Database) -> None:
        dialect = db.engine.dialect
        self._encoders = [
            (column.name, str if column.name == "status" else column.type.bind_processor(dialect))
            for column in _COLUMNS
        ]
        self._add_runs = Prepared(dialect, insert(runs), [name for name, _ in self._encoders])
        self._add_inputs = db.upsert(run_inputs, keys=("run", "source"), update=())

    def add_runs(self, connection: Connection, many: Sequence[Run]) -> dict[str, int]:
        """Insert runs and give the number of each; their parameters, metrics and tags have rows of their own."""
        self._add_runs.many(connection, [self._to_row(run) for run in many])
        numbers: dict[str, int] = {}
        for start in range(0, len(many), _CHUNK):
            chunk = [run.id for run in many[start : start + _CHUNK]]
            query = f"SELECT id, number FROM runs WHERE id IN ({marks(len(chunk))})"
            numbers.update(fetch(connection, query, chunk))
        return numbers

    def _to_row(self, run: Run) -> tuple[Any, ...]:
        held = [(getattr(run, name), encode) for name, encode in self._encoders]
        return tuple([value if encode is None or value is None else encode(value) for value, encode in held])

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
        query = _select_runs().where(runs.c.deleted_at.is_(None)).limit(limit)
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
            same_key = (metric_series.c.run == runs.c.number) & (metric_series.c.key == name.removeprefix("metrics."))
            query, find_rank = query.outerjoin(metric_series, same_key), find_rank.outerjoin(metric_series, same_key)
            rank = _metric_rank(descending)
        if after is not None:
            last = tx.execute(find_rank.add_columns(rank.label("rank")).where(runs.c.id == after)).one()
            place, border = tuple_(rank, runs.c.id), tuple_(literal(last.rank, rank.type), literal(after))
            query = query.where(place < border if descending else place > border)
        return query.order_by(*((rank.desc(), runs.c.id.desc()) if descending else (rank, runs.c.id)))

    def list_experiment_ids(self, tx: Transaction) -> list[int]:
        """The experiments that are not deleted."""
        return list(tx.execute(select(experiments.c.id).where(experiments.c.deleted_at.is_(None))).scalars())

    def set_status(self, tx: Transaction, run_id: RunId, status: RunStatus, **more: Any) -> None:
        """Change the status, and with `started_at`, `ended_at` or `source` what goes with it."""
        tx.execute(update(runs).where(runs.c.id == run_id).values(status=status, **more))

    def rename(self, tx: Transaction, run_id: RunId, name: str) -> None:
        """Give a run another name."""
        tx.execute(update(runs).where(runs.c.id == run_id).values(name=name))

    def set_deleted(self, tx: Transaction, run_id: RunId, at: datetime | None) -> None:
        """Mark a run as deleted, or as there again."""
        tx.execute(update(runs).where(runs.c.id == run_id).values(deleted_at=at))

    def delete_runs_of(self, tx: Transaction, experiment_id: ExperimentId) -> int:
        """Mark every run of an experiment as deleted now; returns how many."""
        held = (runs.c.experiment_id == experiment_id) & runs.c.deleted_at.is_(None)
        return tx.execute(update(runs).where(held).values(deleted_at=tx.now)).rowcount

    def restore_runs_of(self, tx: Transaction, experiment_id: ExperimentId, deleted_at: datetime) -> int:
        """Bring back the runs of an experiment that were deleted at one moment; returns how many."""
        held = (runs.c.experiment_id == experiment_id) & (runs.c.deleted_at == deleted_at)
        return tx.execute(update(runs).where(held).values(deleted_at=None)).rowcount

    def remove_tag(self, tx: Transaction, run_id: RunId, key: str) -> bool:
        """Forget a tag; False when there was none."""
        held = (run_tags.c.run == _number_of(run_id)) & (run_tags.c.key == key)
        return bool(tx.execute(delete(run_tags).where(held)).rowcount)

    def add_input(self, tx: Transaction, run_id: RunId, source: Ref, relation: str) -> None:
        """Note what a run read."""
        number = tx.execute(select(runs.c.number).where(runs.c.id == run_id)).scalar_one()
        tx.execute(self._add_inputs, [{"run": number, "source": str(source), "relation": relation}])

    def params_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, str, str]]:
        """Run id, key and value of every parameter of these runs."""
        for chunk in _in_chunks(run_ids):
            query = _of_runs(params, chunk).order_by(params.c.run, params.c.key)
            yield from ((row.run_id, row.key, row.value) for row in tx.execute(query))

    def tags_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, str, str]]:
        """Run id, key and value of every tag of these runs."""
        for chunk in _in_chunks(run_ids):
            query = _of_runs(run_tags, chunk).order_by(run_tags.c.run, run_tags.c.key)
            yield from ((row.run_id, row.key, row.value) for row in tx.execute(query))

    def metrics_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, Metric]]:
        """Run id and latest point of every metric of these runs."""
        for chunk in _in_chunks(run_ids):
            query = _of_runs(metric_series, chunk).order_by(metric_series.c.run, metric_series.c.key)
            yield from ((row.run_id, _to_metric(row)) for row in tx.execute(query))

    def inputs_of(self, tx: Transaction, run_ids: Sequence[RunId]) -> Iterator[tuple[str, Ref]]:
        """Run id and source of every input of these runs."""
        for chunk in _in_chunks(run_ids):
            query = _of_runs(run_inputs, chunk).order_by(run_inputs.c.source)
            yield from ((row.run_id, Ref.parse(row.source)) for row in tx.execute(query))

    def list_points(self, tx: Transaction, run_id: RunId, key: str, limit: int, after: Metric | None) -> list[Metric]:
        """A metric's points by time, step and value, those behind `after`."""
        held = metric_points.c
        place = (held.at, held.step, held.value)
        series = select(metric_series.c.number).where(
            metric_series.c.run == _number_of(run_id), metric_series.c.key == key
        )
        query = select(*place).where(held.series == series.scalar_subquery()).limit(limit)
        if after is not None:
            border = (literal(after.at, UtcTime), literal(after.step), literal(after.number, ExactFloat))
            query = query.where(tuple_(*place) > tuple_(*border))
        return [Metric(key, to_wire(row.value), row.step, row.at) for row in tx.execute(query.order_by(*place))]

    def count_points(self, tx: Transaction, run_id: RunId, most: int) -> int:
        """How many points a run has, counted up to `most`."""
        held = (
            select(metric_points.c.series)
            .join(metric_series, metric_series.c.number == metric_points.c.series)
            .where(metric_series.c.run == _number_of(run_id))
        )
        count: int = tx.execute(select(func.count()).select_from(held.limit(most).subquery())).scalar_one()
        return count

    def each_point(self, tx: Transaction, run_id: RunId) -> Iterator[tuple[str, int, int, int]]:
        """Key, step, time and value of every point of a run in their order, times and values as stored."""
        columns = (type_coerce(metric_points.c[name], BigInteger).label(name) for name in ("step", "at", "value"))
        query = (
            select(metric_series.c.key, *columns)
            .join(metric_points, metric_points.c.series == metric_series.c.number)
            .where(metric_series.c.run == _number_of(run_id))
        )
        for row in tx.execute(query.order_by(metric_series.c.key, "at", "step", "value")):
            yield row.key, row.step, row.at, row.value

    def list_unsealed(self, tx: Transaction, limit: int) -> list[RunId]:
        """Runs that have ended and whose points no audit entry seals yet, the longest ended first."""
        open_ = runs.c.ended_at.is_not(None) & runs.c.sealed_at.is_(None)
        return [
            RunId(row.id) for row in tx.execute(select(runs.c.id).where(open_).order_by(runs.c.ended_at).limit(limit))
        ]

    def is_sealed(self, tx: Transaction, run_id: RunId) -> bool:
        """Whether an audit entry seals the points of a run."""
        return tx.execute(select(runs.c.sealed_at).where(runs.c.id == run_id)).scalar_one_or_none() is not None

    def set_sealed(self, tx: Transaction, run_id: RunId) -> None:
        """Note that an audit entry seals the points of a run."""
        tx.execute(update(runs).where(runs.c.id == run_id).values(sealed_at=tx.now))


def _select_runs() -> Select[Any]:
    columns = (*_COLUMNS, experiments.c.name.label("experiment"))
    return select(*columns).join(experiments, experiments.c.id == runs.c.experiment_id)


def _number_of(run_id: RunId) -> Any:
    """The number of a run, as a part of a query."""
    return select(runs.c.number).where(runs.c.id == run_id).scalar_subquery()


def _of_runs(table: Table, run_ids: Sequence[str]) -> Select[Any]:
    """The rows of a table that belong to these runs, with the id of each run."""
    return (
        select(runs.c.id.label("run_id"), table).join(runs, runs.c.number == table.c.run).where(runs.c.id.in_(run_ids))
    )


def _metric_rank(descending: bool) -> ColumnElement[int]:
    """A metric's value as a number that sorts runs without one last in both directions, and NaN just before them."""
    missing, not_a_number = (_SMALLEST, _SMALLEST + 1) if descending else (_LARGEST, _LARGEST - 1)
    value = type_coerce(metric_series.c.value, BigInteger)
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
