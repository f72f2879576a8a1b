"""A search as it is meant: plain Python over a list of runs, to compare the real one with."""

import math
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from sqlalchemy import Table, delete, insert

from penstock.core.filters import Clause, Comparator, Order
from penstock.storage.columns import from_microseconds
from penstock.storage.database import Database
from penstock.tracking.tables import (
    experiments,
    metric_series,
    params,
    run_tags,
    runs,
    to_sortable,
)

_EPOCH_MS = 1_700_000_000_000
KEYS = {"metric": ("a", "b"), "param": ("a", "p q"), "tag": ("a", "t.u")}
NUMBERS = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, 2.5, -3.0)
TEXTS = ("", "x", "X", "xy", "x_", "x%", "a*b", "a[b", "aZb", "é", "x" * 200, "x" * 200 + "y", "\U0010ffff")
PATTERNS = ("%", "x%", "X_", "%y", "_", "a*b", "a[%", "A%B", "x" * 200 + "%", "\U0010ffff%", "", "x\\%")
STATUSES = ("running", "finished", "failed")


class ModelRun(Struct):
    """A run with what can be asked of it; times in microseconds."""

    id: str
    experiment_id: int
    name: str
    status: str
    started_at: int
    ended_at: int | None
    is_deleted: bool
    metric: dict[str, float]
    param: dict[str, str]
    tag: dict[str, str]

    def read(self, entity: str, key: str) -> Any:
        """What a clause or order looks at; None where there is nothing."""
        if entity != "attribute":
            return getattr(self, entity).get(key)
        if key in ("start_time", "end_time"):
            micros = self.started_at if key == "start_time" else self.ended_at
            return None if micros is None else micros // 1000
        names = {"run_id": self.id, "run_name": self.name, "status": self.status.upper(), "user_id": "tester"}
        return names.get(key, "uri:" + self.id)


def model_runs(chance: Random, count: int) -> list[ModelRun]:
    """Runs with few different values, so that many are alike."""
    times = [_EPOCH_MS * 1000 + offset for offset in chance.sample((0, 1, 999, 1000, 2000, 3500), chance.randint(1, 6))]
    texts, numbers = chance.sample(TEXTS, chance.randint(1, 6)), chance.sample(NUMBERS, chance.randint(1, 6))
    names = chance.sample(TEXTS[1:10], chance.randint(1, 4))
    share = chance.random()  # of the runs that have a key

    def some(entity: str, values: Sequence[Any]) -> dict[str, Any]:
        return {key: chance.choice(values) for key in KEYS[entity] if chance.random() < share}

    return [
        ModelRun(
            id=f"{chance.getrandbits(96):024x}{number:08x}",
            experiment_id=chance.choice((1, 1, 1, 2, 3)),
            name=chance.choice(names),
            status=chance.choice(STATUSES),
            started_at=chance.choice(times),
            ended_at=chance.choice((None, *times)),
            is_deleted=chance.random() < 0.2,
            metric=some("metric", numbers),
            param=some("param", texts),
            tag=some("tag", texts),
        )
        for number in range(count)
    ]


@st.composite
def clauses(draw: st.DrawFn) -> Clause:
    entity = draw(st.sampled_from(["metric", "param", "tag", "attribute"]))
    keys = KEYS.get(entity, ("run_id", "run_name", "status", "user_id", "start_time", "end_time"))
    key = draw(st.sampled_from(keys))
    if entity == "metric" or key in ("start_time", "end_time"):
        comparator = draw(st.sampled_from([each for each in Comparator if each.value[0] in "=!<>"]))
        times = st.sampled_from([_EPOCH_MS + offset for offset in (-1, 0, 0.5, 1, 2, 3.7, 9)] + [10**30, -(10**30)])
        return Clause(
            entity, key, comparator, draw(st.sampled_from([0, 0, -1, 1.0, 2.5]) if entity == "metric" else times)
        )
    allowed = [Comparator.EQUAL, Comparator.NOT_EQUAL, Comparator.LIKE, Comparator.ILIKE]
    if entity != "attribute":
        allowed += [Comparator.IS_NULL, Comparator.IS_NOT_NULL]
    if key == "run_id":
        allowed += [Comparator.IN, Comparator.NOT_IN]
    comparator = draw(st.sampled_from(allowed))
    if comparator in (Comparator.IS_NULL, Comparator.IS_NOT_NULL):
        return Clause(entity, key, comparator, None)
    if comparator in (Comparator.IN, Comparator.NOT_IN):
        return Clause(entity, key, comparator, draw(st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS))))
    if comparator in (Comparator.LIKE, Comparator.ILIKE):
        return Clause(entity, key, comparator, draw(st.sampled_from((*PATTERNS, "0000%"))))
    return Clause(entity, key, comparator, draw(st.sampled_from((*TEXTS, "FINISHED", "running"))))


def orders() -> st.SearchStrategy[list[Order]]:
    """Up to three keys, none twice."""
    keys = [(entity, key) for entity, held in KEYS.items() for key in held]
    keys += [("attribute", key) for key in ("start_time", "end_time", "run_name", "status", "run_id", "artifact_uri")]
    one = st.builds(lambda place, down: Order(*place, down), st.sampled_from(keys), st.booleans())
    return st.lists(one, max_size=3, unique_by=lambda order: (order.entity, order.key))


def matches(run: ModelRun, clause: Clause) -> bool:
    """Whether a clause holds."""
    held = run.read(clause.entity, clause.key)
    value: Any = clause.value
    match clause.comparator:
        case Comparator.IS_NULL:
            return held is None
        case Comparator.IS_NOT_NULL:
            return held is not None
    if held is None:
        return False
    match clause.comparator:
        case Comparator.EQUAL:
            return bool(held == value)
        case Comparator.NOT_EQUAL:
            return bool(held != value)
        case Comparator.LESS:
            return bool(held < value)
        case Comparator.LESS_OR_EQUAL:
            return bool(held <= value)
        case Comparator.GREATER:
            return bool(held > value)
        case Comparator.GREATER_OR_EQUAL:
            return bool(held >= value)
        case Comparator.IN:
            return held in value
        case Comparator.NOT_IN:
            return held not in value
    signs = {"%": ".*", "_": "."}
    pattern = "".join(signs.get(each, re.escape(each)) for each in value)
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if clause.comparator is Comparator.ILIKE else 0)
    return re.fullmatch(pattern, held, flags) is not None


def in_order(found: Sequence[ModelRun], keys: Sequence[Order]) -> list[ModelRun]:
    """The runs in the order that a search promises."""
    ranked = sorted(found, key=lambda run: run.id)
    named = {(order.entity, order.key) for order in keys}
    last = () if ("attribute", "start_time") in named else (Order("attribute", "start_time", is_descending=True),)
    for order in reversed((*keys, *last)):
        ranked.sort(key=lambda run, order=order: _rank(run, order), reverse=order.is_descending)
    return ranked


def _rank(run: ModelRun, order: Order) -> tuple[Any, ...]:
    held = run.read(order.entity, order.key)
    if order.key == "start_time":
        held = run.started_at
    elif order.key == "end_time":
        held = run.ended_at
    sign = -1 if order.is_descending else 1  # what has no value is last in both directions
    if held is None:
        return (2 * sign,)
    if isinstance(held, float):
        return (1 * sign,) if math.isnan(held) else (0, to_sortable(held))
    return (0, held[:200] if isinstance(held, str) else held)


def write_filter(held: Sequence[Clause]) -> str:
    """The clauses as a filter."""
    return " AND ".join(map(_write, held))


def _write(clause: Clause) -> str:
    value = clause.value
    if isinstance(value, tuple):
        right = f"({', '.join(map(_quote, value))})"
    elif value is None:
        right = ""
    else:
        right = _quote(value) if isinstance(value, str) else repr(value)
    return f"{clause.entity}.`{clause.key}` {clause.comparator} {right}"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def write_orders(held: Sequence[Order]) -> list[str]:
    """The orders as a caller writes them."""
    return [f"{order.entity}.`{order.key}` {'DESC' if order.is_descending else 'ASC'}" for order in held]


def keep(db: Database, held: Sequence[ModelRun]) -> None:
    """Make the database hold these runs and no others."""
    with db.engine.begin() as connection:
        for table in (metric_series, params, run_tags, runs, experiments):
            connection.execute(delete(table))
        for table, rows in _rows(held):
            if rows:
                connection.execute(insert(table), rows)


def _rows(held: Sequence[ModelRun]) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    moment = from_microseconds(_EPOCH_MS * 1000)
    home = {"artifact_location": "", "created_at": moment, "updated_at": moment, "created_by": "tester"}
    yield experiments, [{"id": number, "name": f"e{number}", **home} for number in (1, 2, 3)]
    yield (
        runs,
        [
            {
                "number": number,
                "id": run.id,
                "experiment_id": run.experiment_id,
                "name": run.name,
                "status": run.status,
                "started_at": from_microseconds(run.started_at),
                "ended_at": None if run.ended_at is None else from_microseconds(run.ended_at),
                "deleted_at": moment if run.is_deleted else None,
                "created_by": "tester",
                "artifact_uri": "uri:" + run.id,
                "source": {},
            }
            for number, run in enumerate(held, 1)
        ],
    )
    point = {"step": 0, "at": moment}
    for table, entity, more in ((metric_series, "metric", point), (params, "param", {}), (run_tags, "tag", {})):
        yield (
            table,
            [
                {"run": number, "experiment_id": run.experiment_id, "key": key, "value": value, **more}
                for number, run in enumerate(held, 1)
                for key, value in getattr(run, entity).items()
            ],
        )
