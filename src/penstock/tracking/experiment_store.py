"""The SQL of experiments: one query per method, no rules."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Select, delete, func, insert, select, update

from penstock.core.ids import ExperimentId
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.tables import experiment_tags, experiments, runs
from penstock.tracking.types import Experiment


class ExperimentStore:
    """Reads and writes experiments and their tags."""

    def __init__(self, db: Database) -> None:
        self._set_tags = db.upsert(experiment_tags, keys=("experiment_id", "key"), update=("value",))

    def add(self, tx: Transaction, experiment: Experiment) -> Experiment:
        """Insert an experiment with its tags; returns it with the number the database gave it."""
        row = {name: value for name, value in to_row(experiment).items() if name not in ("id", "tags")}
        (number,) = tx.execute(insert(experiments).values(row)).inserted_primary_key or (0,)
        made = structs.replace(experiment, id=ExperimentId(number))
        self.set_tags(tx, made.id, experiment.tags)
        return made

    def find(self, tx: Transaction, experiment_id: ExperimentId) -> Experiment | None:
        """The experiment of that number, deleted or not."""
        return self._one(tx, select(experiments).where(experiments.c.id == experiment_id))

    def find_by_name(self, tx: Transaction, name: str) -> Experiment | None:
        """The experiment of that name, deleted or not."""
        return self._one(tx, select(experiments).where(experiments.c.name == name))

    def list_by_name(self, tx: Transaction, limit: int, after: str) -> list[Experiment]:
        """Experiments that are not deleted, by name, those behind `after`."""
        query = select(experiments).where(experiments.c.name > after, experiments.c.deleted_at.is_(None))
        return self.fill(tx, [from_row(Experiment, row) for row in tx.execute(query.order_by("name").limit(limit))])

    def list_by_ids(self, tx: Transaction, ids: Sequence[int]) -> list[Experiment]:
        """The experiments of these numbers, in this order."""
        found: dict[int, Experiment] = {}
        for start in range(0, len(ids), 500):
            query = select(experiments).where(experiments.c.id.in_(ids[start : start + 500]))
            found.update((each.id, each) for each in (from_row(Experiment, row) for row in tx.execute(query)))
        return self.fill(tx, [found[each] for each in ids if each in found])

    def change(self, tx: Transaction, experiment_id: ExperimentId, **values: Any) -> None:
        """Set columns of an experiment."""
        tx.execute(update(experiments).where(experiments.c.id == experiment_id).values(updated_at=tx.now, **values))

    def set_tags(self, tx: Transaction, experiment_id: ExperimentId, tags: dict[str, str]) -> None:
        """Set tags; a tag that was there gets the new value."""
        rows = [{"experiment_id": experiment_id, "key": key, "value": tags[key]} for key in tags]
        if rows:
            tx.execute(self._set_tags, rows)

    def remove_tag(self, tx: Transaction, experiment_id: ExperimentId, key: str) -> None:
        """Forget a tag."""
        held = experiment_tags.c
        tx.execute(delete(experiment_tags).where(held.experiment_id == experiment_id, held.key == key))

    def count_runs(self, tx: Transaction) -> dict[str, int]:
        """How many runs each experiment holds, without those that are deleted."""
        held = func.count(runs.c.number).label("held")
        query = select(experiments.c.name, held).select_from(runs).join(experiments).group_by(experiments.c.name)
        return {row.name: row.held for row in tx.execute(query.where(runs.c.deleted_at.is_(None)))}

    def fill(self, tx: Transaction, found: Sequence[Experiment]) -> list[Experiment]:
        """The same experiments with their tags."""
        tags: dict[int, dict[str, str]] = {each.id: {} for each in found}
        held = experiment_tags.c
        for start in range(0, len(found), 500):
            ids = [each.id for each in found[start : start + 500]]
            for row in tx.execute(select(experiment_tags).where(held.experiment_id.in_(ids)).order_by(held.key)):
                tags[row.experiment_id][row.key] = row.value
        return [structs.replace(each, tags=tags[each.id]) for each in found]

    def _one(self, tx: Transaction, query: Select[Any]) -> Experiment | None:
        row = tx.execute(query).one_or_none()
        return None if row is None else self.fill(tx, [from_row(Experiment, row)])[0]
