"""What is shown of a list of items: without what is excluded, by the business rules, cut to what was asked for."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.project.conditions import BOUNDS, check_condition
from penstock.core.project.types import AtMostPerSection, RulesSection

DEFAULT_ITEMS = 20
ITEM = "item"  # the column of a table of items that holds their ids
NO_RULES = RulesSection()
_REMEMBERED = 256  # conditions of one table
_RULES = tuple(RulesSection.__struct_fields__)

Condition = Mapping[str, Any]


class Ranked(Struct, frozen=True):
    """A list as it is shown."""

    items: list[str]
    scores: list[float | None]  # None: a pinned item that the model did not suggest
    rules: tuple[str, ...] = ()  # those without which it would be another list


class ItemTable:
    """What is known of items; answers which of them fulfil a condition. Safe to use from several threads.

    Args:
        frame: a row for each item, its id in the column `item`.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._columns = [name for name in frame.columns if name != ITEM]
        self._find = lru_cache(_REMEMBERED)(self._filter)
        self._values = lru_cache(len(self._columns) or 1)(self._read_values)

    def find(self, condition: Condition, field: str) -> frozenset[str]:
        """The items that fulfil a condition: each column is equal to a value, one of several, or within bounds.

        Raises:
            InvalidInputError: it is no such condition, or names a column that is not there.
        """
        problem = check_condition(condition)
        if problem is not None:
            raise InvalidInputError(f"{field}: {problem}", field=field)
        for column in condition:
            self.check_column(column, f"{field}.{column}")
        try:
            return self._find(json.dumps(condition, sort_keys=True, default=str))
        except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
            raise InvalidInputError(f"{field}: the values do not fit the columns of the items", field=field) from error

    def check_column(self, column: str, field: str) -> None:
        """See that a column is there.

        Raises:
            InvalidInputError: it is not.
        """
        if column not in self._columns:
            hint = nearest_hint(column, self._columns)
            raise InvalidInputError(f"{field}: the table of items has no column {column!r}", hint=hint, field=field)

    def values(self, column: str) -> dict[str, Any]:
        """A column by item."""
        return self._values(column)

    def _read_values(self, column: str) -> dict[str, Any]:
        return dict(zip(self._frame[ITEM].to_list(), self._frame[column].to_list(), strict=True))

    def _filter(self, text: str) -> frozenset[str]:
        found = self._frame
        for column, wanted in json.loads(text).items():
            found = found.filter(_expression(pl.col(column), wanted))
        return frozenset(found[ITEM].to_list())


def rank(
    items: Sequence[str],
    scores: Sequence[float | None],
    table: ItemTable | None,
    rules: RulesSection = NO_RULES,
    *,
    k: int | None = None,
    exclude: Collection[str] = frozenset(),
    condition: Condition | None = None,
) -> Ranked:
    """What is shown of a model's list.

    What the caller excludes or filters out is not shown, pinned or not. Then come the rules: pinned items, the model's
    order, buried ones, and of those no more than a value may have.

    Args:
        items: best first, each once.
        scores: of each.
        table: of the items; None where the model has none.
        rules: of the deployment.
        k: how many are asked for.
        exclude: items not to be shown.
        condition: that items have to fulfil.

    Raises:
        InvalidInputError: the condition cannot be asked of these items.
    """
    k = k or DEFAULT_ITEMS
    wanted = None if condition is None else _need(table, "filter").find(condition, "filter")

    def fits(item: str) -> bool:
        return item not in exclude and (wanted is None or item in wanted)

    score_of = dict(zip(items, scores, strict=True))
    if rules == NO_RULES:
        shown = _take(filter(fits, items), k)
        return Ranked(shown, [score_of[item] for item in shown])
    shown = _apply(items, table, rules, fits, k)
    changed = [
        name
        for name in _RULES
        if getattr(rules, name)
        and _apply(items, table, replace(rules, **{name: getattr(NO_RULES, name)}), fits, k) != shown
    ]
    return Ranked(shown, [score_of.get(item) for item in shown], tuple(changed))


def check_rules(rules: RulesSection, table: ItemTable | None) -> None:
    """See that rules can be applied to the items of a model.

    Raises:
        InvalidInputError: one asks for a table or a column that the model does not have.
    """
    for name in ("bury", "block"):
        for held in getattr(rules, name):
            if not isinstance(held, str):
                _need(table, f"rules.{name}").find(held, f"rules.{name}")
    if rules.at_most_per is not None:
        _need(table, "rules.at_most_per").check_column(rules.at_most_per.column, "rules.at_most_per.column")


def _apply(items: Sequence[str], table: ItemTable | None, rules: RulesSection, fits: Any, k: int) -> list[str]:
    blocked, buried = _named(rules.block, table, "block"), _named(rules.bury, table, "bury")
    pinned = [item for item in rules.pin if item not in blocked and fits(item)]
    others = [item for item in items if item not in pinned and item not in blocked and fits(item)]
    kept = [item for item in others if item not in buried] + [item for item in others if item in buried]
    if rules.at_most_per is None or table is None:
        return _take(iter(pinned + kept), k)
    return _limit(pinned, kept, table, rules.at_most_per)[:k]


def _limit(pinned: list[str], others: list[str], table: ItemTable, limit: AtMostPerSection) -> list[str]:
    """Those of the others that leave each value its number; pinned items stay, and count."""
    values, seen = table.values(limit.column), dict[Any, int]()
    shown = list(pinned)
    for item in pinned:
        seen[values.get(item)] = seen.get(values.get(item), 0) + 1
    for item in others:
        value = values.get(item)
        if value is None or seen.get(value, 0) < limit.count:
            seen[value] = seen.get(value, 0) + 1
            shown.append(item)
    return shown


def _named(held: Sequence[str | dict[str, Any]], table: ItemTable | None, name: str) -> set[str]:
    """The items that a rule names; what cannot be asked of these items names none."""
    found: set[str] = set()
    for item in held:
        if isinstance(item, str):
            found.add(item)
        elif table is not None:
            try:
                found |= table.find(item, name)
            except InvalidInputError:  # told when the revision was loaded
                continue
    return found


def _take(items: Any, k: int) -> list[str]:
    return [item for item, _ in zip(items, range(k), strict=False)]


def _need(table: ItemTable | None, field: str) -> ItemTable:
    if table is None:
        raise InvalidInputError(
            f"{field}: this model has no table of items",
            hint="give RankingModel its attributes, a row for each item",
            field=field,
        )
    return table


def _expression(column: pl.Expr, wanted: Any) -> pl.Expr:
    if isinstance(wanted, dict):
        bounds = [getattr(column, BOUNDS[name])(bound) for name, bound in wanted.items()]
        return pl.all_horizontal(bounds)
    return column.is_in(wanted) if isinstance(wanted, list) else column == wanted
