"""The SQL of the model registry: one query per method, no rules."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import structs
from sqlalchemy import Select, delete, func, insert, select, update

from penstock.core.ids import Digest, RunId
from penstock.registry.tables import alias_moves, model_aliases, model_version_tags, model_versions, models
from penstock.registry.types import Alias, AliasMove, Model, ModelVersion, VersionStatus
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction


class RegistryStore:
    """Reads and writes the tables of the registry."""

    def __init__(self, db: Database) -> None:
        self._add_model = db.upsert(models, keys=("name",), update=())
        self._set_alias = db.upsert(
            model_aliases, keys=("model", "alias"), update=("version", "moved_at", "moved_by", "reason")
        )
        self._set_tags = db.upsert(model_version_tags, keys=("model", "version", "key"), update=("value",))

    def add_model(self, tx: Transaction, model: Model) -> None:
        """Insert a model, unless there is one of that name."""
        tx.execute(self._add_model, [to_row(model)])

    def lock_model(self, tx: Transaction, name: str) -> Model | None:
        """The model; nobody else changes it or its aliases until this transaction ends."""
        return self._one_model(tx, select(models).where(models.c.name == name).with_for_update())

    def find_model(self, tx: Transaction, name: str) -> Model | None:
        """The model of that name."""
        return self._one_model(tx, select(models).where(models.c.name == name))

    def list_models(self, tx: Transaction, limit: int, after: str) -> list[Model]:
        """Models by name, those behind `after`."""
        query = select(models).where(models.c.name > after).order_by(models.c.name).limit(limit)
        return [from_row(Model, row) for row in tx.execute(query)]

    def add_version(self, tx: Transaction, version: ModelVersion) -> None:
        """Insert a version with its tags, and make its number the latest of its model."""
        row = {name: value for name, value in to_row(version).items() if name in model_versions.c}
        tx.execute(insert(model_versions).values(row))
        tx.execute(update(models).where(models.c.name == version.model).values(latest_version=version.version))
        self.set_tags(tx, version, version.tags)

    def find_version(self, tx: Transaction, model: str, version: int) -> ModelVersion | None:
        """A version by its number."""
        query = select(model_versions).where(model_versions.c.model == model, model_versions.c.version == version)
        found = self._versions(tx, query)
        return found[0] if found else None

    def find_made(self, tx: Transaction, model: str, run_id: RunId | None, tree: Digest) -> ModelVersion | None:
        """The version that this run made of this directory."""
        held = model_versions.c
        query = select(model_versions).where(held.model == model, held.tree == tree, held.run_id.is_(run_id))
        if run_id is not None:
            query = select(model_versions).where(held.model == model, held.tree == tree, held.run_id == run_id)
        found = self._versions(tx, query.order_by(held.version).limit(1))
        return found[0] if found else None

    def list_versions(
        self, tx: Transaction, model: str, limit: int, before: int | None, status: VersionStatus | None
    ) -> list[ModelVersion]:
        """Versions of a model, newest first, those below `before`."""
        held = model_versions.c
        query = select(model_versions).where(held.model == model).order_by(held.version.desc()).limit(limit)
        if before is not None:
            query = query.where(held.version < before)
        if status is not None:
            query = query.where(held.status == status)
        return self._versions(tx, query)

    def list_of_run(self, tx: Transaction, run_id: RunId) -> list[ModelVersion]:
        """The versions that a run made."""
        held = model_versions.c
        query = select(model_versions).where(held.run_id == run_id).order_by(held.model, held.version)
        return self._versions(tx, query)

    def set_status(self, tx: Transaction, version: ModelVersion, status: VersionStatus) -> None:
        """Change the status of a version."""
        held = model_versions.c
        here = (held.model == version.model) & (held.version == version.version)
        tx.execute(update(model_versions).where(here).values(status=status))

    def set_tags(self, tx: Transaction, version: ModelVersion, tags: dict[str, str]) -> None:
        """Set tags of a version; one that was there gets the new value."""
        rows = [{"model": version.model, "version": version.version, "key": key, "value": tags[key]} for key in tags]
        if rows:
            tx.execute(self._set_tags, rows)

    def find_alias(self, tx: Transaction, model: str, alias: str) -> Alias | None:
        """An alias as it stands."""
        held = model_aliases.c
        row = tx.execute(select(model_aliases).where(held.model == model, held.alias == alias)).one_or_none()
        return None if row is None else from_row(Alias, row)

    def list_aliases(self, tx: Transaction, model: str) -> list[Alias]:
        """The aliases of a model, by name."""
        query = select(model_aliases).where(model_aliases.c.model == model).order_by(model_aliases.c.alias)
        return [from_row(Alias, row) for row in tx.execute(query)]

    def set_alias(self, tx: Transaction, alias: Alias) -> None:
        """Point an alias at a version."""
        tx.execute(self._set_alias, [to_row(alias)])

    def remove_alias(self, tx: Transaction, model: str, alias: str) -> None:
        """Forget an alias."""
        held = model_aliases.c
        tx.execute(delete(model_aliases).where(held.model == model, held.alias == alias))

    def count_moves(self, tx: Transaction, model: str, alias: str) -> int:
        """How often an alias was moved."""
        held = alias_moves.c
        query = select(func.coalesce(func.max(held.number), 0)).where(held.model == model, held.alias == alias)
        count: int = tx.execute(query).scalar_one()
        return count

    def add_move(self, tx: Transaction, move: AliasMove) -> None:
        """Add to the history of an alias."""
        tx.execute(insert(alias_moves).values(to_row(move)))

    def list_moves(self, tx: Transaction, model: str, alias: str, limit: int) -> list[AliasMove]:
        """The moves of an alias, or of all aliases of a model, newest first."""
        held = alias_moves.c
        query = select(alias_moves).where(held.model == model).limit(limit)
        if alias:
            query = query.where(held.alias == alias)
        query = query.order_by(held.at.desc(), held.alias, held.number.desc())
        return [from_row(AliasMove, row) for row in tx.execute(query)]

    def find_move_at(self, tx: Transaction, model: str, alias: str, at: datetime) -> AliasMove | None:
        """The last move of an alias up to a moment."""
        held = alias_moves.c
        query = select(alias_moves).where(held.model == model, held.alias == alias, held.at <= at)
        row = tx.execute(query.order_by(held.number.desc()).limit(1)).one_or_none()
        return None if row is None else from_row(AliasMove, row)

    def _one_model(self, tx: Transaction, query: Select[Any]) -> Model | None:
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(Model, row)

    def _versions(self, tx: Transaction, query: Select[Any]) -> list[ModelVersion]:
        found = [from_row(ModelVersion, row) for row in tx.execute(query)]
        tags = self._tags(tx, found)
        return [structs.replace(version, tags=tags.get((version.model, version.version), {})) for version in found]

    def _tags(self, tx: Transaction, versions: Sequence[ModelVersion]) -> dict[tuple[str, int], dict[str, str]]:
        held = model_version_tags.c
        tags: dict[tuple[str, int], dict[str, str]] = {}
        for model in {version.model for version in versions}:
            numbers = [version.version for version in versions if version.model == model]
            query = select(model_version_tags).where(
                held.model == model, held.version.between(min(numbers), max(numbers))
            )
            for row in tx.execute(query.order_by(held.key)):
                tags.setdefault((model, row.version), {})[row.key] = row.value
        return tags
