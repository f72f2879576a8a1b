"""The SQL of logged models: one query per method, no rules."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Select, Table, delete, insert, select, update

from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.logged_models.tables import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from penstock.tracking.logged_models.types import LoggedModel, ModelMetric
from penstock.tracking.store import to_wire

_CHUNK = 500  # ids in one query


class LoggedModelStore:
    """Reads and writes logged models and what belongs to them; metric points are written by `points.ModelPoints`."""

    def __init__(self, db: Database) -> None:
        self._add_params = db.upsert(logged_model_params, keys=("model_id", "key"), update=())
        self._set_tags = db.upsert(logged_model_tags, keys=("model_id", "key"), update=("value",))

    def add(self, tx: Transaction, model: LoggedModel) -> None:
        """Insert a model with its parameters and tags."""
        tx.execute(insert(logged_models).values(_columns_of(model)))
        self.add_params(tx, model.id, model.params)
        self.set_tags(tx, model.id, model.tags)

    def find(self, tx: Transaction, model_id: str) -> LoggedModel | None:
        """A model, deleted or not, without its parameters, tags and metrics."""
        row = tx.execute(select(logged_models).where(logged_models.c.id == model_id)).one_or_none()
        return None if row is None else from_row(LoggedModel, row)

    def change(self, tx: Transaction, model_id: str, **values: Any) -> None:
        """Set columns of a model."""
        held = logged_models.c.id == model_id
        tx.execute(update(logged_models).where(held).values(updated_at=tx.now, **values))

    def replace(self, tx: Transaction, model: LoggedModel) -> None:
        """Set all columns of a model, and add its parameters and tags."""
        tx.execute(update(logged_models).where(logged_models.c.id == model.id).values(_columns_of(model)))
        self.add_params(tx, model.id, model.params)
        self.set_tags(tx, model.id, model.tags)

    def add_params(self, tx: Transaction, model_id: str, params: dict[str, str]) -> None:
        """Add the parameters that are new; those there are stay as they are."""
        rows = [{"model_id": model_id, "key": key, "value": value} for key, value in params.items()]
        if rows:
            tx.execute(self._add_params, rows)

    def set_tags(self, tx: Transaction, model_id: str, tags: dict[str, str]) -> None:
        """Set tags; a tag that was there gets the new value."""
        rows = [{"model_id": model_id, "key": key, "value": value} for key, value in tags.items()]
        if rows:
            tx.execute(self._set_tags, rows)

    def remove_tag(self, tx: Transaction, model_id: str, key: str) -> bool:
        """Forget a tag; False when there was none."""
        held = (logged_model_tags.c.model_id == model_id) & (logged_model_tags.c.key == key)
        return bool(tx.execute(delete(logged_model_tags).where(held)).rowcount)

    def search(self, tx: Transaction, query: Select[Any], limit: int, offset: int) -> list[LoggedModel]:
        """A part of what a query of `search.build_search` finds, without parameters, tags and metrics."""
        return [from_row(LoggedModel, row) for row in tx.execute(query.limit(limit).offset(offset))]

    def fill(self, tx: Transaction, found: Sequence[LoggedModel]) -> list[LoggedModel]:
        """The same models with their parameters, tags and metrics."""
        ids = [model.id for model in found]
        params = self._texts_of(tx, logged_model_params, ids)
        tags = self._texts_of(tx, logged_model_tags, ids)
        metrics: dict[str, list[ModelMetric]] = {model_id: [] for model_id in ids}
        for model_id, metric in self._metrics_of(tx, ids):
            metrics[model_id].append(metric)
        return [
            structs.replace(model, params=params[model.id], tags=tags[model.id], metrics=tuple(metrics[model.id]))
            for model in found
        ]

    def _texts_of(self, tx: Transaction, table: Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        texts: dict[str, dict[str, str]] = {model_id: {} for model_id in ids}
        for chunk in _in_chunks(ids):
            query = select(table).where(table.c.model_id.in_(chunk)).order_by(table.c.model_id, table.c.key)
            for row in tx.execute(query):
                texts[row.model_id][row.key] = row.value
        return texts

    def _metrics_of(self, tx: Transaction, ids: Sequence[str]) -> Iterator[tuple[str, ModelMetric]]:
        held = logged_model_metrics.c
        order = (held.model_id, held.key, held.at, held.step, held.run_id, held.dataset, held.value)
        for chunk in _in_chunks(ids):
            query = select(logged_model_metrics).where(held.model_id.in_(chunk)).order_by(*order)
            for row in tx.execute(query):
                yield (
                    row.model_id,
                    ModelMetric(
                        key=row.key,
                        value=to_wire(row.value),
                        step=row.step,
                        at=row.at,
                        run_id=row.run_id,
                        dataset_name=row.dataset_name,
                        dataset_digest=row.dataset_digest,
                    ),
                )


def _columns_of(model: LoggedModel) -> dict[str, Any]:
    return {name: value for name, value in to_row(model).items() if name in logged_models.c}


def _in_chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
