"""The keys that a search orders by: how runs compare by each, and which index is in that order."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from penstock.core.filters import Order
from penstock.tracking.search.conditions import COLUMNS, table_of
from penstock.tracking.search.grammar import ATTRIBUTE, METRIC, NAME_TAG, TAG
from penstock.tracking.search.sql import TRUE, Sql
from penstock.tracking.search.values import LARGEST, SMALLEST, SORTED_NAN, Range

_HEAD = "substr({}, 1, 200)"
_RUN_INDEXES = ("name", "started_at", "ended_at")  # each behind `experiment_id`


class Rank(Struct, frozen=True):
    """A column of the ordered result, on the raw value `{}` of its level."""

    text: str
    is_descending: bool
    is_number: bool


class Index(Struct, frozen=True):
    """An index in the order of a level."""

    table: str
    column: str
    run: str  # the column that holds the run's number
    where: Sql = TRUE
    is_by_experiment: bool = True


class Segment(Struct, frozen=True):
    """A part of a level's order that comes as a whole before the next part.

    Attributes:
        range: the values of the index that belong here; None where no index holds these runs.
        probe: the condition on `runs`, where no index does.
    """

    range: Range | None = None
    probe: Sql = TRUE


class Level(Struct, frozen=True):
    """One key of the order.

    Attributes:
        subject: the entity and key.
        is_descending: the direction of the values; what has none comes last in either.
        raw: the value of a row of `runs`.
        ranks: what is compared, on the raw value.
        index: in whose order runs can be walked; None where there is none.
        segments: the parts of that walk.
    """

    subject: tuple[str, str]
    is_descending: bool
    raw: Sql
    ranks: tuple[Rank, ...]
    index: Index | None
    segments: tuple[Segment, ...]

    def equals(self, value: Any) -> Sql:
        """The condition on `runs` that the value is this one."""
        if self.index is None or self.index.table == "runs":
            return Sql(f"{self.raw.text} = ?", (*self.raw.values, value))
        table, column = self.index.table, self.index.column
        return Sql(
            f"EXISTS (SELECT 1 FROM {table} WHERE {table}.run = runs.number AND {table}.key = ? AND {column} = ?)",
            (self.subject[1], value),
        )

    def find_place(self, ranks: Sequence[Any]) -> tuple[int, Any]:
        """In which segment a run with these ranks lies, and at which value."""
        if len(self.ranks) == 2:
            return (1, None) if ranks[0] else (0, ranks[1])
        value = ranks[0]
        absent, not_a_number = (SMALLEST, SMALLEST + 1) if self.is_descending else (LARGEST, SORTED_NAN)
        if value == absent and len(self.segments) > 1:
            return len(self.segments) - 1, None
        if self.subject[0] == METRIC and value == not_a_number:
            return 1, SORTED_NAN
        return 0, value


def to_levels(orders: Sequence[Order]) -> tuple[Level, ...]:
    """The keys asked for, then the latest start, then the id: an order without ties."""
    levels = [_to_level(order) for order in orders]
    named = {(order.entity, order.key) for order in orders}
    for order in (Order(ATTRIBUTE, "start_time", is_descending=True), Order(ATTRIBUTE, "run_id")):
        if (order.entity, order.key) not in named:
            levels.append(_to_level(order))
    places = [level.subject for level in levels]
    return tuple(levels[: places.index((ATTRIBUTE, "run_id")) + 1])  # nothing is left to order behind the id


def _to_level(order: Order) -> Level:
    if (order.entity, order.key) == (TAG, NAME_TAG):
        return _to_level(Order(ATTRIBUTE, "run_name", order.is_descending))
    if order.entity != ATTRIBUTE:
        return _of_key(order)
    column = COLUMNS[order.key]
    raw = Sql(f"runs.{column}")
    subject = (ATTRIBUTE, order.key)
    if column == "artifact_uri":
        raw = Sql(_HEAD.format(raw.text))
    ranks = (Rank("{}", order.is_descending, is_number=column.endswith("_at")),)
    segments: tuple[Segment, ...] = (Segment(Range()),)
    if column == "ended_at":
        ranks = (Rank(_or_last("{}", order.is_descending), order.is_descending, is_number=True),)
        segments = (Segment(Range(SMALLEST)), Segment(probe=Sql("runs.ended_at IS NULL")))
    index = None
    if column in _RUN_INDEXES:
        index = Index("runs", column, "number")
    elif column == "id":
        index = Index("runs", "id", "number", is_by_experiment=False)
        segments = (Segment(Range("")),)  # every id; the plan then says that the index is searched
    return Level(subject, order.is_descending, raw, ranks, index, segments)


def _of_key(order: Order) -> Level:
    """Of a metric, parameter or tag."""
    table = table_of(order.entity)
    own = f"FROM {table} WHERE {table}.run = runs.number AND {table}.key = ?"
    absent = Segment(probe=Sql(f"NOT EXISTS (SELECT 1 {own})", (order.key,)))
    down = order.is_descending
    column = "value" if order.entity == METRIC else _HEAD.format("value")
    ranks: tuple[Rank, ...]
    if order.entity == METRIC:
        last_but_one = f"CASE WHEN {{}} = {SORTED_NAN} THEN {SMALLEST + 1} ELSE {_or_last('{}', down)} END"
        ranks = (Rank(last_but_one if down else _or_last("{}", down), down, is_number=True),)
        numbers = Segment(Range(None, SORTED_NAN, is_high_open=True)), Segment(Range(SORTED_NAN, SORTED_NAN))
        segments: tuple[Segment, ...] = (*numbers, absent)
    else:
        ranks = (
            Rank("CASE WHEN {} IS NULL THEN 1 ELSE 0 END", False, is_number=True),
            Rank("coalesce({}, '')", down, is_number=False),
        )
        segments = (Segment(Range()), absent)
    return Level(
        (order.entity, order.key),
        down,
        Sql(f"(SELECT {column} {own})", (order.key,)),
        ranks,
        Index(table, column, "run", Sql("key = ?", (order.key,))),
        segments,
    )


def _or_last(raw: str, is_descending: bool) -> str:
    return f"coalesce({raw}, {SMALLEST if is_descending else LARGEST})"
