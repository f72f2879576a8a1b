"""The SQL of models, their aliases and their history: one query per method, no rules.

`model` is the key of a model everywhere; only `find_named` and `find_former` know names.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import structs
from sqlalchemy import Row, Select, delete, func, insert, or_, select, update

from penstock.registry.tables import START_LENGTH, model_aliases, model_history, model_tags, models
from penstock.registry.types import Alias, AliasMove, ChangeKind, Model, ModelChange
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction

CHUNK = 500  # keys in one statement


class ModelStore:
    """Reads and writes the tables of models, aliases and history."""

    def __init__(self, db: Database) -> None:
        self._set_alias = db.upsert(
            model_aliases, keys=("model", "alias"), update=("version", "moved_at", "moved_by", "reason")
        )
        self._set_tags = db.upsert(model_tags, keys=("model", "key"), update=("value", "start"))

    def add(self, tx: Transaction, model: Model) -> None:
        """Insert a model with its tags."""
        row = {name: value for name, value in to_row(model).items() if name in models.c}
        tx.execute(insert(models).values(row))
        self.set_tags(tx, model.key, model.tags)

    def find_named(self, tx: Transaction, name: str) -> Model | None:
        """The model of that name."""
        return self._one(tx, select(models).where(models.c.name == name, models.c.deleted_at.is_(None)))

    def find_former(self, tx: Transaction, name: str) -> Model | None:
        """The model that had that name, or has that key; the one that was changed last, where it was several."""
        held = model_history.c
        renamed = select(held.model).where(held.kind == ChangeKind.NAME, held.before == name)
        query = select(models).where(
            or_(models.c.key == name, models.c.key.in_(renamed)), models.c.deleted_at.is_(None)
        )
        return self._one(tx, query.order_by(models.c.updated_at.desc(), models.c.key).limit(1))

    def find_keys(self, tx: Transaction, name: str) -> list[str]:
        """The models that have or had that name, deleted ones too."""
        held = model_history.c
        renamed = select(held.model).where(held.kind == ChangeKind.NAME, held.before == name)
        query = select(models.c.key).where(or_(models.c.name == name, models.c.key.in_(renamed)))
        return list(tx.execute(query.order_by(models.c.created_at, models.c.key)).scalars())

    def has_key(self, tx: Transaction, key: str) -> bool:
        """Whether a model, live or deleted, has this key."""
        return tx.execute(select(models.c.key).where(models.c.key == key)).first() is not None

    def lock(self, tx: Transaction, model: str) -> Model | None:
        """The model; nobody else changes it or its aliases until this transaction ends."""
        query = select(models).where(models.c.key == model, models.c.deleted_at.is_(None))
        return self._one(tx, query.with_for_update())

    def list_all(self, tx: Transaction, limit: int, after: str) -> list[Model]:
        """Models by name, those behind `after`."""
        query = select(models).where(models.c.deleted_at.is_(None), models.c.name > after)
        return self.read(tx, query.order_by(models.c.name).limit(limit))

    def read(self, tx: Transaction, query: Select[Any]) -> list[Model]:
        """The models that a query of their rows finds, with their tags."""
        rows = tx.execute(query).all()
        tags = self._tags(tx, [row.key for row in rows])
        return [_to_model(row, tags.get(row.key, {})) for row in rows]

    def update(self, tx: Transaction, model: str, **values: Any) -> None:
        """Change columns of a model."""
        tx.execute(update(models).where(models.c.key == model).values(values))

    def set_tags(self, tx: Transaction, model: str, tags: dict[str, str]) -> None:
        """Set tags of a model; one that was there gets the new value."""
        rows = [
            {"model": model, "key": key, "value": value, "start": value[:START_LENGTH]} for key, value in tags.items()
        ]
        if rows:
            tx.execute(self._set_tags, rows)

    def remove_tag(self, tx: Transaction, model: str, key: str) -> None:
        """Forget a tag of a model."""
        tx.execute(delete(model_tags).where(model_tags.c.model == model, model_tags.c.key == key))

    def find_alias(self, tx: Transaction, model: Model, alias: str) -> Alias | None:
        """An alias as it stands."""
        held = model_aliases.c
        row = tx.execute(select(model_aliases).where(held.model == model.key, held.alias == alias)).one_or_none()
        return None if row is None else _to_alias(row, model.name)

    def list_aliases(self, tx: Transaction, names: dict[str, str]) -> dict[str, list[Alias]]:
        """The aliases of models by their keys, each by name; the models' names are given by key."""
        aliases: dict[str, list[Alias]] = {key: [] for key in names}
        held = model_aliases.c
        for keys in _chunks(names):
            query = select(model_aliases).where(held.model.in_(keys)).order_by(held.model, held.alias)
            for row in tx.execute(query):
                aliases[row.model].append(_to_alias(row, names[row.model]))
        return aliases

    def set_alias(self, tx: Transaction, model: str, alias: Alias) -> None:
        """Point an alias at a version."""
        tx.execute(self._set_alias, to_row(alias) | {"model": model})

    def remove_alias(self, tx: Transaction, model: str, alias: str) -> None:
        """Forget an alias."""
        held = model_aliases.c
        tx.execute(delete(model_aliases).where(held.model == model, held.alias == alias))

    def add_change(self, tx: Transaction, model: str, change: ModelChange) -> None:
        """Add to the history of a model, under the next number."""
        newest = select(func.coalesce(func.max(model_history.c.number), 0)).where(model_history.c.model == model)
        row = to_row(change) | {"model": model, "number": tx.execute(newest).scalar_one() + 1}
        tx.execute(insert(model_history).values(row))

    def list_changes(
        self, tx: Transaction, keys: Sequence[str], alias: str, until: datetime | None, limit: int
    ) -> list[ModelChange]:
        """The history of models, or what concerns one alias of theirs, newest first, up to a moment."""
        held = model_history.c
        query = select(model_history).where(held.model.in_(keys)).limit(limit)
        if alias:
            query = query.where(held.alias == alias)
        if until is not None:
            query = query.where(held.at <= until)
        query = query.order_by(held.at.desc(), held.model, held.number.desc())
        return [from_row(ModelChange, row) for row in tx.execute(query)]

    def list_moves(self, tx: Transaction, model: Model, alias: str, limit: int) -> list[AliasMove]:
        """The moves of an alias, or of all aliases of a model, newest first."""
        held = model_history.c
        query = select(model_history).where(held.model == model.key, held.kind == ChangeKind.ALIAS).limit(limit)
        if alias:
            query = query.where(held.alias == alias)
        return [_to_move(row, model.name) for row in tx.execute(query.order_by(held.number.desc()))]

    def list_moves_at(self, tx: Transaction, model: Model, alias: str, at: datetime) -> list[AliasMove]:
        """The last move of each alias, or of one, up to a moment."""
        held = model_history.c
        last = select(func.max(held.number)).where(
            held.model == model.key, held.kind == ChangeKind.ALIAS, held.at <= at
        )
        if alias:
            last = last.where(held.alias == alias)
        query = select(model_history).where(held.model == model.key, held.number.in_(last.group_by(held.alias)))
        return [_to_move(row, model.name) for row in tx.execute(query.order_by(held.alias))]

    def _one(self, tx: Transaction, query: Select[Any]) -> Model | None:
        row = tx.execute(query).one_or_none()
        return None if row is None else _to_model(row, self._tags(tx, [row.key]).get(row.key, {}))

    def _tags(self, tx: Transaction, keys: Sequence[str]) -> dict[str, dict[str, str]]:
        held = model_tags.c
        tags: dict[str, dict[str, str]] = {}
        for some in _chunks(keys):
            for row in tx.execute(select(model_tags).where(held.model.in_(some)).order_by(held.model, held.key)):
                tags.setdefault(row.model, {})[row.key] = row.value
        return tags


def _chunks(keys: Iterable[str]) -> list[list[str]]:
    """The keys in lists that one statement can take."""
    every = list(keys)
    return [every[start : start + CHUNK] for start in range(0, len(every), CHUNK)]


def _to_model(row: Row[Any], tags: dict[str, str]) -> Model:
    return structs.replace(from_row(Model, row), tags=tags)


def _to_alias(row: Row[Any], name: str) -> Alias:
    return structs.replace(from_row(Alias, row), model=name)


def _to_move(row: Row[Any], name: str) -> AliasMove:
    return structs.replace(from_row(AliasMove, row), model=name)
