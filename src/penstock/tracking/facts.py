"""How metric points, parameters and tags are written: those of all callers who wait, together.

One query finds the runs, one the parameters they have; then one `executemany` for each table. The number of a series
is remembered, so that a point costs no lookup.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, bindparam, null, tuple_, update

from penstock.core.errors import ConflictError, NotFoundError
from penstock.core.ids import RunId
from penstock.storage.database import Database
from penstock.storage.records import Prepared, fetch, marks
from penstock.storage.transaction import Transaction
from penstock.tracking.logged_models.points import ModelPoint, ModelPoints, no_model
from penstock.tracking.tables import Point, metric_points, metric_series, params, run_tags, runs
from penstock.tracking.types import RunStatus

_Series = tuple[int, str]  # the run's number, and the key
_REMEMBERED = 200_000  # series
_CHUNK = 500  # values in one query
_ENDED = frozenset(status.value for status in RunStatus if status.is_terminal)


class Facts(Struct, eq=False):
    """What one call adds to a run: all of it is kept or nothing."""

    run_id: RunId
    points: Sequence[Point] = ()
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    name: str | None = None  # the run's new name
    model_points: Sequence[ModelPoint] = ()  # of the points, those that were measured of a logged model
    may_be_late: bool = False  # whether a run that has ended takes them; its points are then sealed anew


class _Run(Struct):
    number: int
    experiment_id: int
    status: str
    is_deleted: bool
    has_ended: bool


class FactKind:
    """Writes facts; attached to one database."""

    def __init__(self, db: Database) -> None:
        dialect = db.engine.dialect
        latest = ("step", "at", "value")
        series = ("run", "experiment_id", "key", *latest)
        point = ("series", "at", "step", "value")
        text = ("run", "experiment_id", "key", "value")
        held = metric_series.c
        move_on = (
            update(metric_series)
            .where(held.number == bindparam("series"))
            .where(tuple_(held.step, held.at, held.value) < tuple_(*(bindparam(f"new_{name}") for name in latest)))
            .values({name: bindparam(f"new_{name}") for name in latest})
        )
        self._add_series = Prepared(dialect, db.upsert(metric_series, keys=("run", "key"), update=()), series)
        self._add_points = Prepared(dialect, db.upsert(metric_points, keys=point, update=()), point)
        new = tuple(f"new_{name}" for name in latest)
        self._move_on = Prepared(dialect, move_on, (*new, "series", *new))
        self._add_params = Prepared(dialect, db.upsert(params, keys=("run", "key"), update=()), text)
        self._set_tags = Prepared(dialect, db.upsert(run_tags, keys=("run", "key"), update=("value",)), text)
        self._rename = Prepared(
            dialect,
            update(runs).where(runs.c.number == bindparam("run")).values(name=bindparam("new_name")),
            ("run", "new_name"),
        )
        self._unseal = Prepared(
            dialect, update(runs).where(runs.c.number == bindparam("run")).values(sealed_at=null()), ("run",)
        )
        self._model_points = ModelPoints(db)
        self._numbers: dict[_Series, int] = {}

    def count_rows(self, record: Facts) -> int:
        """See `RecordKind`."""
        return len(record.points) + len(record.params) + len(record.tags) + len(record.model_points)

    def forget(self) -> None:
        """A group was rolled back, and with it perhaps a series."""
        self._numbers.clear()

    def apply(self, group: Sequence[tuple[Transaction, Facts]]) -> list[Exception | None]:
        """Write the facts of a group; see `RecordKind`."""
        return self._write(group, self._numbers)

    def join(self, tx: Transaction, facts: Facts) -> None:
        """Write facts as a part of a transaction that may still fail, so nothing of it is remembered.

        Raises:
            NotFoundError: no such run.
            ConflictError: the run takes nothing any more, or a parameter has another value.
        """
        (refusal,) = self._write([(tx, facts)], dict[_Series, int]())
        if refusal is not None:
            raise refusal

    def join_all(self, tx: Transaction, many: Sequence[Facts]) -> list[Exception | None]:
        """As `join` for many together; gives for each its refusal, and those that are refused have written nothing."""
        return self._write([(tx, facts) for facts in many], dict[_Series, int]())

    def _write(self, group: Sequence[tuple[Transaction, Facts]], numbers: dict[_Series, int]) -> list[Exception | None]:
        connection = group[0][0].connection
        facts: list[Facts] = []
        has_params = has_model_points = False
        for _, each in group:
            facts.append(each)
            has_params |= bool(each.params)
            has_model_points |= bool(each.model_points)
        found = _find_runs(connection, {each.run_id for each in facts})
        refusals = [_refuse(each, found.get(each.run_id)) for each in facts]
        if has_model_points:
            self._refuse_unknown_models(connection, facts, refusals)
        if has_params:
            self._write_params(connection, facts, found, refusals)
        kept = [(each, found[each.run_id]) for each, refusal in zip(facts, refusals, strict=True) if refusal is None]
        self._write_points(connection, kept, numbers)
        self._write_rest(connection, kept)
        return refusals

    def _write_rest(self, connection: Connection, kept: Sequence[tuple[Facts, _Run]]) -> None:
        tags: list[tuple[int, int, str, str]] = []
        names: list[tuple[int, str]] = []
        late: list[tuple[int]] = []
        model_points: list[ModelPoint] = []
        for each, run in kept:
            if each.tags:
                tags.extend([(run.number, run.experiment_id, key, value) for key, value in each.tags.items()])
            if each.name is not None:
                names.append((run.number, each.name))
            if run.has_ended and each.points:
                late.append((run.number,))
            if each.model_points:
                model_points.extend(each.model_points)
        if tags:
            self._set_tags.many(connection, tags)
        if names:
            self._rename.many(connection, names)
        if late:
            self._unseal.many(connection, late)
        if model_points:
            self._model_points.add(connection, model_points)

    def _refuse_unknown_models(
        self, connection: Connection, facts: list[Facts], refusals: list[Exception | None]
    ) -> None:
        wanted = {point.model_id for each in facts for point in each.model_points}
        unknown = wanted - self._model_points.find_models(connection, wanted)
        for place, each in enumerate(facts) if unknown else ():
            lost = next((point.model_id for point in each.model_points if point.model_id in unknown), None)
            if lost is not None:
                refusals[place] = refusals[place] or no_model(lost)

    def _write_params(
        self, connection: Connection, facts: list[Facts], found: dict[str, _Run], refusals: list[Exception | None]
    ) -> None:
        """Add the parameters that are new; facts that would change one are refused."""
        wanted = {
            found[each.run_id].number: None
            for each, refusal in zip(facts, refusals, strict=True)
            if each.params and refusal is None
        }
        if not wanted:
            return
        keys = {key for each in facts for key in each.params}
        held = _held_params(connection, list(wanted), keys)
        rows: list[tuple[int, int, str, str]] = []
        for place, each in enumerate(facts):
            if refusals[place] is not None or not each.params:
                continue
            run = found[each.run_id]
            refusals[place] = _find_change(each, run.number, held)
            if refusals[place] is None:
                for key, value in each.params.items():
                    if (run.number, key) not in held:
                        held[run.number, key] = value
                        rows.append((run.number, run.experiment_id, key, value))
        if self._add_params.many(connection, rows) != len(rows):
            raise ConflictError("another process added the same parameters just now")  # the group is tried again

    def _write_points(
        self, connection: Connection, kept: Sequence[tuple[Facts, _Run]], numbers: dict[_Series, int]
    ) -> None:
        latest: dict[_Series, tuple[int, int, int]] = {}
        for each, run in kept:
            for key, step, at, value in each.points:
                series, last = (run.number, key), (step, at, value)
                known = latest.get(series)
                if known is None or known < last:
                    latest[series] = last
        if not latest:
            return
        opened: set[_Series] = set()
        if not latest.keys() <= numbers.keys():
            experiments = {run.number: run.experiment_id for _, run in kept}
            opened = self._open_series(connection, latest, experiments, numbers)
        rows = [
            (numbers[run.number, key], at, step, value) for each, run in kept for key, step, at, value in each.points
        ]
        self._add_points.many(connection, rows)
        moved = [(*last, numbers[series], *last) for series, last in latest.items() if series not in opened]
        self._move_on.many(connection, moved)

    def _open_series(
        self,
        connection: Connection,
        latest: dict[_Series, tuple[int, int, int]],
        experiments: dict[int, int],
        numbers: dict[_Series, int],
    ) -> set[_Series]:
        """Learn the numbers of these series; those that are not there yet are made, and have their latest point then.

        Returns:
            Those that were made, when all were that had to be learned.
        """
        missing = [series for series in latest if series not in numbers]
        if len(numbers) + len(missing) > _REMEMBERED:
            numbers.clear()
            missing = list(latest)
        rows = [(run, experiments[run], key, *latest[run, key]) for run, key in missing]
        are_new = self._add_series.many(connection, rows) == len(rows)
        wanted = list({run for run, _ in missing})
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            query = f"SELECT run, key, number FROM metric_series WHERE run IN ({marks(len(chunk))})"
            for run, key, number in fetch(connection, query, chunk):
                numbers[run, key] = number
        return set(missing) if are_new else set()


def _find_runs(connection: Connection, ids: set[RunId]) -> dict[str, _Run]:
    wanted = list(ids)
    found = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        query = f"SELECT id, number, experiment_id, status, deleted_at FROM runs WHERE id IN ({marks(len(chunk))})"
        for run_id, number, experiment_id, status, deleted_at in fetch(connection, query, chunk):
            found[run_id] = _Run(number, experiment_id, status, deleted_at is not None, status in _ENDED)
    return found


def _held_params(connection: Connection, numbers: list[int], keys: set[str]) -> dict[_Series, str]:
    """What these runs have, as far as it is among these keys."""
    held: dict[_Series, str] = {}
    names = list(keys)
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        for first in range(0, len(names), _CHUNK):
            some = names[first : first + _CHUNK]
            query = (
                f"SELECT run, key, value FROM params WHERE run IN ({marks(len(chunk))}) AND key IN ({marks(len(some))})"
            )
            held.update(((run, key), value) for run, key, value in fetch(connection, query, [*chunk, *some]))
    return held


def _find_change(facts: Facts, number: int, held: dict[_Series, str]) -> ConflictError | None:
    for key, value in facts.params.items():
        before = held.get((number, key), value)
        if before != value:
            return ConflictError(
                f"Changing param values is not allowed. Param with key={key!r} was already logged with "
                f"value={before[:200]!r} for run ID={facts.run_id!r}. Attempted logging new value {value[:200]!r}",
                hint="parameters never change; begin a new run, or use a tag",
            )
    return None


def _refuse(facts: Facts, run: _Run | None) -> Exception | None:
    if run is None:
        return no_run(facts.run_id)
    if run.is_deleted:
        return ConflictError(
            f"The run {facts.run_id} must be in the 'active' state. Current state is deleted", hint="restore it first"
        )
    if run.has_ended and not facts.may_be_late:
        return ConflictError(
            f"run {facts.run_id} has ended ({run.status}) and its metrics are sealed",
            hint="log to a new run, or resume this one first",
        )
    return None


def no_run(run_id: str) -> NotFoundError:
    """What to say of a run that is not there."""
    return NotFoundError(
        f"there is no run {run_id!r}: Run '{run_id}' not found", hint="'penstock runs list' names those there are"
    )
