"""The SQL of model versions: one query per method, no rules. `model` is the key of a model."""

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Select, delete, func, insert, select, update

from penstock.core.ids import Digest, RunId
from penstock.registry.store import CHUNK
from penstock.registry.tables import START_LENGTH, model_version_tags, model_versions, models
from penstock.registry.types import Model, ModelVersion, Stage, VersionStatus
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction

held = model_versions.c
LIVE = held.deleted_at.is_(None)
_COLUMNS = [held.model.label("key"), *(column for column in held if column.name != "model")]


def select_versions() -> Select[Any]:
    """Versions that are not deleted, as `VersionStore.read` wants them; narrowed and ordered by the caller."""
    return select(models.c.name.label("model"), *_COLUMNS).join(models, models.c.key == held.model).where(LIVE)


def select_version_rows() -> Select[Any]:
    """The same without a join, so that a page in the order of an index reads no more than the page."""
    name = select(models.c.name).where(models.c.key == held.model).scalar_subquery()
    return select(name.label("model"), *_COLUMNS).where(LIVE)


class VersionStore:
    """Reads and writes the tables of versions."""

    def __init__(self, db: Database) -> None:
        self._set_tags = db.upsert(model_version_tags, keys=("model", "version", "key"), update=("value", "start"))

    def add(self, tx: Transaction, version: ModelVersion) -> None:
        """Insert a version with its tags, and make its number the latest of its model."""
        row = {name: value for name, value in to_row(version).items() if name in held}
        tx.execute(insert(model_versions).values(row | {"model": version.key}))
        newest = {"latest_version": version.version, "updated_at": version.created_at}
        tx.execute(update(models).where(models.c.key == version.key).values(newest))
        self.set_tags(tx, version, version.tags)

    def find(self, tx: Transaction, model: str, version: int) -> ModelVersion | None:
        """A version by its number."""
        found = self.read(tx, select_versions().where(held.model == model, held.version == version))
        return found[0] if found else None

    def was_given(self, tx: Transaction, model: str, version: int) -> bool:
        """Whether a version, live or deleted, has this number."""
        query = select(held.version).where(held.model == model, held.version == version)
        return tx.execute(query).first() is not None

    def find_newest(self, tx: Transaction, model: str) -> ModelVersion | None:
        """The version with the highest number."""
        found = self.read(tx, select_versions().where(held.model == model).order_by(held.version.desc()).limit(1))
        return found[0] if found else None

    def find_made(self, tx: Transaction, model: str, run_id: RunId | None, tree: Digest) -> ModelVersion | None:
        """The version that this run made of this directory."""
        ran = held.run_id.is_(None) if run_id is None else held.run_id == run_id
        query = select_versions().where(held.model == model, held.tree == tree, ran)
        found = self.read(tx, query.order_by(held.version).limit(1))
        return found[0] if found else None

    def find_uncompiled(self, tx: Transaction) -> ModelVersion | None:
        """The oldest version with files of which nothing says what came of compiling it."""
        query = select_versions().where(held.tree.is_not(None), held.fast_form.is_(None))
        found = self.read(tx, query.order_by(held.created_at).limit(1))
        return found[0] if found else None

    def find_fast_trees(self, tx: Transaction, trees: Collection[Digest]) -> dict[Digest, Digest]:
        """The copies with a fast form of some directories."""
        query = select(held.tree, held.fast_tree).where(held.tree.in_(trees), held.fast_tree.is_not(None), LIVE)
        return {row.tree: row.fast_tree for row in tx.execute(query)}

    def list_of(
        self, tx: Transaction, model: str, limit: int, before: int | None, status: VersionStatus | None
    ) -> list[ModelVersion]:
        """Versions of a model, newest first, those below `before`."""
        query = select_versions().where(held.model == model).order_by(held.version.desc()).limit(limit)
        if before is not None:
            query = query.where(held.version < before)
        if status is not None:
            query = query.where(held.status == status)
        return self.read(tx, query)

    def list_in_stage(self, tx: Transaction, model: str, stage: Stage) -> list[ModelVersion]:
        """The versions of a model in a stage."""
        return self.read(tx, select_versions().where(held.model == model, held.stage == stage).order_by(held.version))

    def list_of_run(self, tx: Transaction, run_id: RunId) -> list[ModelVersion]:
        """The versions that a run made."""
        query = select_versions().where(held.run_id == run_id)
        return self.read(tx, query.order_by(models.c.name, held.version))

    def list_latest(self, tx: Transaction, found: Sequence[Model]) -> dict[str, list[ModelVersion]]:
        """The newest version in each stage, by the keys of their models."""
        keys = [model.key for model in found]
        latest: dict[str, list[ModelVersion]] = {key: [] for key in keys}
        for start in range(0, len(keys), CHUNK):
            newest = (
                select(held.model, func.max(held.version).label("version"))
                .where(held.model.in_(keys[start : start + CHUNK]), LIVE)
                .group_by(held.model, held.stage)
                .subquery()
            )
            same = (held.model == newest.c.model) & (held.version == newest.c.version)
            query = select_versions().join(newest, same).order_by(held.model, held.version)
            for version in self.read(tx, query):
                latest[version.key].append(version)
        return latest

    def update(self, tx: Transaction, version: ModelVersion, **values: Any) -> None:
        """Change columns of a version."""
        here = (held.model == version.key) & (held.version == version.version)
        tx.execute(update(model_versions).where(here).values(values))

    def delete_all(self, tx: Transaction, model: str) -> int:
        """Mark every version of a model as deleted; says how many there were."""
        marked = update(model_versions).where(held.model == model, LIVE).values(deleted_at=tx.now)
        return tx.execute(marked).rowcount

    def set_tags(self, tx: Transaction, version: ModelVersion, tags: dict[str, str]) -> None:
        """Set tags of a version; one that was there gets the new value."""
        here = {"model": version.key, "version": version.version}
        rows = [here | {"key": key, "value": value, "start": value[:START_LENGTH]} for key, value in tags.items()]
        if rows:
            tx.execute(self._set_tags, rows)

    def remove_tag(self, tx: Transaction, version: ModelVersion, key: str) -> None:
        """Forget a tag of a version."""
        tags = model_version_tags.c
        here = (tags.model == version.key) & (tags.version == version.version) & (tags.key == key)
        tx.execute(delete(model_version_tags).where(here))

    def read(self, tx: Transaction, query: Select[Any]) -> list[ModelVersion]:
        """The versions that a query finds, with their tags."""
        found = [from_row(ModelVersion, row) for row in tx.execute(query)]
        tags = self._tags(tx, found)
        return [structs.replace(version, tags=tags.get((version.key, version.version), {})) for version in found]

    def _tags(self, tx: Transaction, versions: Sequence[ModelVersion]) -> dict[tuple[str, int], dict[str, str]]:
        """Tags of all versions between the lowest and the highest of each model; those of a page are neighbours."""
        column = model_version_tags.c
        tags: dict[tuple[str, int], dict[str, str]] = {}
        keys = sorted({version.key for version in versions})
        numbers = [version.version for version in versions]
        for start in range(0, len(keys), CHUNK):
            query = select(model_version_tags).where(
                column.model.in_(keys[start : start + CHUNK]), column.version.between(min(numbers), max(numbers))
            )
            for row in tx.execute(query.order_by(column.model, column.version, column.key)):
                tags.setdefault((row.model, row.version), {})[row.key] = row.value
        return tags
