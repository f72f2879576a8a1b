"""Searches for logged models as queries: every clause is answered by an index, or narrows what one has found."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, and_, case, exists, or_, select, type_coerce

from penstock.core.errors import InvalidInputError
from penstock.core.filters import IDENTIFIER, LISTED_TEXT, NUMBER, TEXT, Clause, Entity, Grammar, parse_filter
from penstock.core.ids import ExperimentId
from penstock.storage.matching import compare_text
from penstock.tracking.comparing import compare_float, compare_integer, compare_sorted
from penstock.tracking.logged_models.tables import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from penstock.tracking.logged_models.types import DatasetFilter, ModelOrder
from penstock.tracking.tables import NAN, to_sortable

ORDER_LIMIT = 10
_STATUS = "LOGGED_MODEL_"  # in front of a status, as MLflow writes it
_TIMES = {"creation_timestamp": logged_models.c.created_at, "last_updated_timestamp": logged_models.c.updated_at}
_TEXTS = {
    "name": logged_models.c.name,
    "model_id": logged_models.c.id,
    "model_type": logged_models.c.model_type,
    "source_run_id": logged_models.c.source_run_id,
    "status": logged_models.c.status,
    "artifact_uri": logged_models.c.artifact_uri,
}
_ALIASES = {
    "creation_time": "creation_timestamp",
    "creation_timestamp_ms": "creation_timestamp",
    "last_updated_timestamp_ms": "last_updated_timestamp",
    "artifact_location": "artifact_uri",
}
GRAMMAR = Grammar(
    entities=(
        Entity(
            "attribute",
            spellings=("attributes",),
            keys=dict.fromkeys(_TEXTS, LISTED_TEXT) | dict.fromkeys(_TIMES, NUMBER) | {"status": IDENTIFIER},
            aliases=_ALIASES,
        ),
        Entity("metric", spellings=("metrics",), any_key=NUMBER),
        Entity("param", spellings=("params", "parameters"), any_key=LISTED_TEXT),
        Entity("tag", spellings=("tags",), any_key=TEXT),
    ),
    default="attribute",
)


def build_search(
    experiment_ids: Sequence[ExperimentId],
    filter: str,  # the protocol's word
    datasets: Sequence[DatasetFilter],
    order_by: Sequence[ModelOrder],
) -> Select[Any]:
    """The query for the models that fit, in their order; the newest first where no other order decides.

    Raises:
        InvalidInputError: the filter or the order cannot be read.
    """
    held = logged_models.c
    clauses = parse_filter(filter, GRAMMAR)
    query = select(logged_models).where(held.experiment_id.in_(experiment_ids), held.deleted_at.is_(None))
    for clause in clauses:
        query = query.where(_condition(clause, datasets))
    if datasets and not any(clause.entity == "metric" for clause in clauses):
        is_measured = and_(logged_model_metrics.c.model_id == held.id, _on_any(datasets))
        query = query.where(exists().where(is_measured))  # for each model in turn: datasets have no index of their own
    return query.order_by(*_terms(order_by), held.created_at.desc(), held.id.desc())


def _condition(clause: Clause, datasets: Sequence[DatasetFilter]) -> ColumnElement[bool]:
    key, comparator, value = clause.key, clause.comparator, clause.value
    if clause.entity == "metric":
        metric = logged_model_metrics.c
        return _with_metric(metric.key == key, compare_float(metric.value, comparator, value), _on_any(datasets))
    if clause.entity in ("param", "tag"):
        table = logged_model_params if clause.entity == "param" else logged_model_tags
        return _with_text(table, key, compare_sorted(table.c.value, comparator, value))
    if key in _TIMES:
        return compare_integer(_TIMES[key], comparator, value, unit=1000)
    if key == "status":
        value = tuple(map(_to_status, value)) if isinstance(value, tuple) else _to_status(str(value))
    return compare_text(_TEXTS[key], comparator, value)


def _with_text(table: Table, key: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return logged_models.c.id.in_(select(table.c.model_id).where(table.c.key == key, condition))


def _with_metric(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return logged_models.c.id.in_(select(logged_model_metrics.c.model_id).where(*conditions))


def _on_any(datasets: Sequence[DatasetFilter]) -> ColumnElement[bool]:
    held = logged_model_metrics.c
    return and_(True, or_(*(_is_on(held, each.name, each.digest) for each in datasets))) if datasets else and_(True)


def _is_on(held: Any, name: str, digest: str) -> ColumnElement[bool]:
    is_named: ColumnElement[bool] = held.dataset_name == name
    return and_(is_named, held.dataset_digest == digest) if digest else is_named


def _to_status(text: str) -> str:
    return text.removeprefix(_STATUS).lower()


def _terms(order_by: Sequence[ModelOrder]) -> list[ColumnElement[Any]]:
    if len(order_by) > ORDER_LIMIT:
        raise InvalidInputError(f"order_by has {len(order_by)} terms and {ORDER_LIMIT} are allowed", field="order_by")
    terms: list[ColumnElement[Any]] = []
    for term in order_by:
        column = _latest(term) if term.field.startswith("metrics.") else _attribute(term.field)
        if term.field.startswith("metrics."):
            terms.append(case((column.is_(None), 2), (column == to_sortable(NAN), 1), else_=0))
        terms.append(column.asc() if term.is_ascending else column.desc())
    return terms


def _attribute(name: str) -> ColumnElement[Any]:
    key = name.removeprefix("attributes.")
    key = _ALIASES.get(key, key)
    column: ColumnElement[Any] | None = _TIMES.get(key, _TEXTS.get(key))
    if column is None:
        raise InvalidInputError(
            f"Invalid order by field name: {name[:200]}",
            hint=f"order by metrics.KEY, or by one of {', '.join([*_TIMES, *_TEXTS])}",
            field="order_by",
        )
    return column


def _latest(term: ModelOrder) -> ColumnElement[int]:
    """The latest value of a metric, as the number that sorts the same way; none where the model has none."""
    held = logged_model_metrics.c
    query = select(type_coerce(held.value, BigInteger)).where(
        held.model_id == logged_models.c.id, held.key == term.field.removeprefix("metrics.")
    )
    if term.dataset_name:
        query = query.where(_is_on(held, term.dataset_name, term.dataset_digest))
    latest = query.order_by(held.at.desc(), held.step.desc(), held.run_id).limit(1)
    return latest.scalar_subquery()
