"""Searches for traces as queries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Text, exists, or_, select, type_coerce

from penstock.core.filters import (
    LISTED_TEXT,
    NUMBER,
    OPTIONAL_TEXT,
    Clause,
    Comparator,
    Entity,
    Field,
    Grammar,
    parse_filter,
    parse_order,
)
from penstock.core.ids import ExperimentId
from penstock.storage.matching import compare_text
from penstock.tracking.comparing import compare_integer, compare_sorted
from penstock.tracking.traces.tables import spans, trace_metadata, trace_tags, traces

SOURCE_RUN = "mlflow.sourceRun"
_NUMBERS: dict[str, tuple[ColumnElement[Any], int]] = {
    "timestamp_ms": (traces.c.started_at, 1000),
    "execution_time_ms": (traces.c.duration_ms, 1),
}
_TEXTS = {"request_id": traces.c.id, "client_request_id": traces.c.client_request_id, "status": traces.c.state}
_KEPT_APART = {  # attributes that stand among the tags or the metadata
    "name": (trace_tags, "mlflow.traceName"),
    "run_id": (trace_metadata, SOURCE_RUN),
}
_SPAN_TEXTS = (  # what people wrote; attributes and events as the JSON they are kept in
    spans.c.name,
    spans.c.message,
    type_coerce(spans.c.attributes, Text),
    type_coerce(spans.c.events, Text),
)
_PATTERN = Field(False, frozenset({Comparator.LIKE, Comparator.ILIKE}), is_orderable=False)
_LISTED_ONLY = Field(False, LISTED_TEXT.comparators, is_orderable=False)
_OPTIONAL = Field(False, OPTIONAL_TEXT.comparators, is_orderable=False)
GRAMMAR = Grammar(
    entities=(
        Entity(
            "attribute",
            spellings=("attributes", "trace"),
            keys=dict.fromkeys(_TEXTS, LISTED_TEXT)
            | dict.fromkeys(_NUMBERS, NUMBER)
            | dict.fromkeys(_KEPT_APART, _LISTED_ONLY)
            | {"text": _PATTERN},
            aliases={
                "timestamp": "timestamp_ms",
                "execution_time": "execution_time_ms",
                "trace_id": "request_id",
                "id": "request_id",
                "state": "status",
            },
        ),
        Entity("tag", spellings=("tags",), any_key=_OPTIONAL),
        Entity("metadata", spellings=("request_metadata",), any_key=_OPTIONAL),
    ),
    default="attribute",
)


def build_search(
    experiment_ids: Sequence[ExperimentId],
    filter: str,  # the protocol's word
    order_by: Sequence[str],
) -> Select[Any]:
    """The query for the traces that fit, in their order; the newest first where no other order decides.

    Raises:
        InvalidInputError: the filter or the order cannot be read.
    """
    held = traces.c
    query = select(traces).where(held.experiment_id.in_(experiment_ids))
    for clause in parse_filter(filter, GRAMMAR):
        query = query.where(_condition(clause))
    for order in parse_order(order_by, GRAMMAR):
        column = _NUMBERS[order.key][0] if order.key in _NUMBERS else _TEXTS[order.key]
        query = query.order_by(column.is_(None), column.desc() if order.is_descending else column.asc())
    return query.order_by(held.started_at.desc(), held.id.desc())


def _condition(clause: Clause) -> ColumnElement[bool]:
    key, comparator, value = clause.key, clause.comparator, clause.value
    if clause.entity == "tag":
        return _with_text(trace_tags, key, clause)
    if clause.entity == "metadata":
        return _with_text(trace_metadata, key, clause)
    if key in _KEPT_APART:
        return _with_text(*_KEPT_APART[key], clause)
    if key == "text":
        fits = or_(*(compare_text(text, comparator, value) for text in _SPAN_TEXTS))
        return exists().where(spans.c.trace_id == traces.c.id, fits)
    if key in _NUMBERS:
        column, unit = _NUMBERS[key]
        return compare_integer(column, comparator, value, unit=unit)
    if key == "status":
        value = tuple(each.lower() for each in value) if isinstance(value, tuple) else str(value).lower()
    return compare_text(_TEXTS[key], comparator, value)


def _with_text(table: Table, key: str, clause: Clause) -> ColumnElement[bool]:
    query = select(table.c.trace_id).where(table.c.key == key)
    if clause.comparator is Comparator.IS_NULL:
        return traces.c.id.not_in(query)
    if clause.comparator is not Comparator.IS_NOT_NULL:
        query = query.where(compare_sorted(table.c.value, clause.comparator, clause.value))
    return traces.c.id.in_(query)
