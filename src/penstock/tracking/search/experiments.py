"""The search for experiments: they are few beside the runs, and one statement answers it."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs

from penstock.core.errors import InvalidInputError
from penstock.core.filters import Clause, Comparator, Order, parse_filter, parse_order
from penstock.storage.records import fetch
from penstock.storage.transaction import Transaction
from penstock.tracking.search.grammar import ATTRIBUTE, EXPERIMENTS
from penstock.tracking.search.sql import TRUE, Sql, all_of, behind
from penstock.tracking.search.tokens import read_token, write_token
from penstock.tracking.search.values import compare_text, compare_time
from penstock.tracking.types import View

RESULTS_LIMIT = 50_000
_COLUMNS = {"name": "name", "experiment_id": "id", "creation_time": "created_at", "last_update_time": "updated_at"}
_VIEWS = {View.ACTIVE: Sql("deleted_at IS NULL"), View.DELETED: Sql("deleted_at IS NOT NULL"), View.ALL: TRUE}
_NEWEST_FIRST = (Order(ATTRIBUTE, "creation_time", is_descending=True), Order(ATTRIBUTE, "experiment_id"))


class FoundExperiments(Struct, frozen=True):
    """A page of a search: the numbers of experiments in their order, and the token of the next page."""

    ids: list[int]
    next: str = ""


def find_experiments(
    tx: Transaction,
    filter: str = "",
    order_by: Sequence[str] = (),
    view: View = View.ACTIVE,
    max_results: int = 1_000,
    page_token: str = "",
) -> FoundExperiments:
    """A page of the experiments that match a filter; without an order the newest come first.

    Raises:
        InvalidInputError: a filter or order that cannot be read, a token nobody gave out, or too much at once.
    """
    if not 1 <= max_results <= RESULTS_LIMIT:
        raise InvalidInputError(f"max_results is {max_results}", hint=f"use 1 to {RESULTS_LIMIT}", field="max_results")
    orders = parse_order(order_by, EXPERIMENTS) or _NEWEST_FIRST
    if all(order.key != "experiment_id" for order in orders):
        orders = (*orders, Order(ATTRIBUTE, "experiment_id", is_descending=True))
    ranks = [(_COLUMNS[order.key], order.is_descending) for order in orders]
    search = (filter, list(order_by), view)
    kinds = [str if column == "name" else int for column, _ in ranks]
    later = behind(ranks, read_token(page_token, search, kinds)) if page_token else TRUE
    dialect = tx.connection.dialect.name
    held = all_of([_VIEWS[view], later, *(_to_condition(each, dialect) for each in parse_filter(filter, EXPERIMENTS))])
    order = ", ".join(f"{column} DESC" if is_descending else column for column, is_descending in ranks)
    columns = ", ".join(column for column, _ in ranks)
    text = f"SELECT id, {columns} FROM experiments WHERE {held.text} ORDER BY {order} LIMIT {max_results + 1}"
    rows = fetch(tx.connection, text, held.values)
    following = write_token(search, rows[max_results - 1][1:]) if len(rows) > max_results else ""
    return FoundExperiments([row[0] for row in rows[:max_results]], following)


def _to_condition(clause: Clause, dialect: str) -> Sql:
    if clause.entity != ATTRIBUTE:
        return _about_tag(clause, dialect)
    if clause.key == "name":
        return compare_text("name", clause, dialect)
    if clause.key == "experiment_id":
        return compare_text("id", structs.replace(clause, value=_to_numbers(clause)), dialect)
    return compare_time(_COLUMNS[clause.key], clause)


def _about_tag(clause: Clause, dialect: str) -> Sql:
    has = "EXISTS (SELECT 1 FROM experiment_tags AS tags WHERE tags.experiment_id = experiments.id AND tags.key = ?"
    if clause.comparator is Comparator.IS_NULL:
        return Sql(f"NOT {has})", (clause.key,))
    if clause.comparator is Comparator.IS_NOT_NULL:
        return Sql(f"{has})", (clause.key,))
    value = compare_text("tags.value", clause, dialect)
    return Sql(f"{has} AND {value.text})", (clause.key, *value.values))


def _to_numbers(clause: Clause) -> Any:
    texts = clause.value if isinstance(clause.value, tuple) else (str(clause.value),)
    numbers = tuple(_to_number(text) for text in texts)
    return numbers if isinstance(clause.value, tuple) else numbers[0]


def _to_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInputError(f"filter: {text[:80]!r} is no experiment's id", hint="ids are numbers", field="filter")
    return int(text)
