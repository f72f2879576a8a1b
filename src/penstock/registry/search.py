"""Searches of models and versions: what may be asked, and the SQL that answers it."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, Table, func, select, tuple_

from penstock.core.errors import InvalidInputError
from penstock.core.filters import (
    LISTED_TEXT,
    QUOTABLE_NUMBER,
    TEXT,
    Clause,
    Comparator,
    Entity,
    Field,
    Grammar,
    Order,
    parse_filter,
    parse_order,
)
from penstock.registry.tables import START_LENGTH, model_tags, model_version_tags, model_versions, models
from penstock.registry.version_store import select_version_rows, select_versions
from penstock.storage.matching import compare_number, compare_text

PROMPT_TAG = "mlflow.prompt.is_prompt"  # models that carry it are no models, and are hidden unless asked for
_ORDER_ONLY = Field(True, frozenset())
_TAGS = Entity("tag", ("tags",), any_key=Field(False, TEXT.comparators, is_orderable=False))
_TIMES = {"creation_timestamp": _ORDER_ONLY, "last_updated_timestamp": _ORDER_ONLY}
MODELS = Grammar(
    (
        Entity(
            "attribute",
            ("attributes", "attr"),
            keys={"name": LISTED_TEXT, **_TIMES},
            aliases={"timestamp": "last_updated_timestamp"},
        ),
        _TAGS,
    ),
    default="attribute",
)
_VERSION_KEYS = {
    "name": LISTED_TEXT,
    "run_id": LISTED_TEXT,
    "source_path": TEXT,
    "version_number": QUOTABLE_NUMBER,  # a version's number is a text wherever else clients meet it
    **_TIMES,
}
VERSIONS = Grammar((Entity("attribute", ("attributes", "attr"), keys=_VERSION_KEYS), _TAGS), default="attribute")

_MODEL_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": models.c.name,
    "creation_timestamp": models.c.created_at,
    "last_updated_timestamp": models.c.updated_at,
}
_VERSION_COLUMNS: dict[str, ColumnElement[Any]] = {
    "key": model_versions.c.model,
    "name": models.c.name,
    "run_id": model_versions.c.run_id,
    "source_path": model_versions.c.source,
    "version_number": model_versions.c.version,
    "creation_timestamp": model_versions.c.created_at,
    "last_updated_timestamp": model_versions.c.updated_at,
}
_NEWEST_FIRST = Order("attribute", "last_updated_timestamp", is_descending=True)
_BY_NAME = Order("attribute", "name")
_BY_KEY = Order("attribute", "key")  # as good as the name, and in the same table, so that an index is enough
_BY_NUMBER = Order("attribute", "version_number", is_descending=True)


def select_models(filter_text: str, order_by: Sequence[str]) -> Select[Any]:
    """The query of a search of models; by name, unless told otherwise.

    Raises:
        InvalidInputError: filter or order cannot be read.
    """
    clauses = parse_filter(filter_text, MODELS)
    query = select(models).where(models.c.deleted_at.is_(None))
    query = _narrow(query, models.c.key, clauses, _compile_model_clause)
    return query.order_by(*_to_columns([*parse_order(order_by, MODELS), _BY_NAME], _MODEL_COLUMNS))


def select_found_versions(filter_text: str, order_by: Sequence[str]) -> Select[Any]:
    """The query of a search of versions; what was changed last comes first, unless told otherwise.

    Raises:
        InvalidInputError: filter or order cannot be read.
    """
    clauses = parse_filter(filter_text, VERSIONS)
    orders = parse_order(order_by, VERSIONS) or (_NEWEST_FIRST,)
    by_name = any(order.key == "name" for order in orders)
    query = select_versions().where(models.c.deleted_at.is_(None)) if by_name else select_version_rows()
    query = _narrow(query, model_versions.c.model, clauses, _compile_version_clause)
    return query.order_by(*_to_columns([*orders, _BY_KEY, _BY_NUMBER], _VERSION_COLUMNS))


def page_of(query: Select[Any], limit: int, page_token: str) -> Select[Any]:
    """One page of a query, with one row more, which tells whether there is another page."""
    return query.limit(limit + 1).offset(_read_token(page_token))


def next_token(page_token: str, limit: int, found: int) -> str:
    """The token of the next page; empty when this was the last one."""
    if found <= limit:
        return ""
    return base64.b64encode(msgspec.json.encode({"offset": _read_token(page_token) + limit})).decode()


def _read_token(token: str) -> int:
    if not token:
        return 0
    try:
        content = msgspec.json.decode(base64.b64decode(token, validate=True), type=dict[str, int])
        offset = content["offset"]
    except (binascii.Error, ValueError, msgspec.DecodeError, KeyError) as error:
        raise InvalidInputError(
            f"Invalid page token {token[:80]!r}", hint="give the one that the last page came with", field="page_token"
        ) from error
    if not 0 <= offset < 2**40:
        raise InvalidInputError(f"Invalid page token {token[:80]!r}", field="page_token")
    return offset


def _narrow(
    query: Select[Any],
    key: ColumnElement[str],
    clauses: Sequence[Clause],
    compiled: Callable[[Clause], ColumnElement[bool]],
) -> Select[Any]:
    """Keep what fulfils the clauses; prompts, which the tags of the model with that key tell, only where asked for."""
    about_prompts = [clause for clause in clauses if clause.entity == "tag" and clause.key == PROMPT_TAG]
    others = [clause for clause in clauses if clause not in about_prompts]
    if any(_wants_prompts(clause) for clause in about_prompts):
        return query.where(*map(compiled, clauses))
    tags = model_tags.c
    prompts = select(tags.model).where(tags.model == key, tags.key == PROMPT_TAG, tags.start == "true")
    return query.where(*map(compiled, others), ~prompts.correlate_except(model_tags).exists())


def _wants_prompts(clause: Clause) -> bool:
    wanted = (clause.comparator, str(clause.value).lower())
    return wanted in ((Comparator.EQUAL, "true"), (Comparator.NOT_EQUAL, "false"))


def _compile_model_clause(clause: Clause) -> ColumnElement[bool]:
    if clause.entity == "tag":
        return models.c.key.in_(_tagged(model_tags, clause, model_tags.c.model))
    return compare_text(_MODEL_COLUMNS[clause.key], clause.comparator, clause.value)


def _compile_version_clause(clause: Clause) -> ColumnElement[bool]:
    if clause.entity == "tag":
        tags = model_version_tags.c
        tagged = _tagged(model_version_tags, clause, tags.model, tags.version)
        return tuple_(model_versions.c.model, model_versions.c.version).in_(tagged)
    if clause.key == "name":
        named = compare_text(models.c.name, clause.comparator, clause.value)
        return model_versions.c.model.in_(select(models.c.key).where(models.c.deleted_at.is_(None), named))
    column = _VERSION_COLUMNS[clause.key]
    if clause.key == "version_number":
        return compare_number(column, clause.comparator, clause.value)  # type: ignore[arg-type]  # by the grammar
    if clause.key == "run_id" and (clause.comparator is not Comparator.EQUAL or not clause.value):
        column = func.coalesce(column, "")  # to clients a version without a run has an empty one
    return compare_text(column, clause.comparator, clause.value)


def _tagged(table: Table, clause: Clause, *columns: ColumnElement[Any]) -> Select[Any]:
    query = select(*columns).where(table.c.key == clause.key)
    if clause.comparator is Comparator.EQUAL:
        query = query.where(table.c.start == str(clause.value)[:START_LENGTH])
    return query.where(compare_text(table.c.value, clause.comparator, clause.value))


def _to_columns(orders: Sequence[Order], columns: dict[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """What to order by; a key that stands there twice counts where it stands first."""
    first: dict[str, Order] = {}
    for order in orders:
        first.setdefault(order.key, order)
    return [columns[key].desc() if order.is_descending else columns[key].asc() for key, order in first.items()]
