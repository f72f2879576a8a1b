"""The verbs of experiments: named collections of runs."""

from collections.abc import Sequence

from penstock.core.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from penstock.core.ids import ExperimentId
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import reads, writes
from penstock.tracking.experiment_store import ExperimentStore
from penstock.tracking.names import check_experiment_name, check_key, check_texts
from penstock.tracking.new_runs import check_active, no_experiment
from penstock.tracking.search.experiments import find_experiments
from penstock.tracking.store import TrackingStore
from penstock.tracking.types import Experiment, ExperimentPage, View

PAGE_LIMIT = 1_000
DEFAULT = ExperimentId(0)


class ExperimentService:
    """Experiments. A deleted one keeps its name and its runs until it is restored."""

    noun = "experiments"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = ExperimentStore(db)
        self._runs = TrackingStore(db)

    @writes
    def create_experiment(
        self,
        tx: Transaction,
        name: str,
        artifact_location: str = "",
        tags: dict[str, str] = {},  # noqa: B006  # read only
    ) -> Experiment:
        """Start a named collection of runs.

        Args:
            name: not used by another one, not even by one that was deleted.
            artifact_location: where the artifacts of its runs go; empty: the server's own store.
            tags: free labels.

        Raises:
            AlreadyExistsError: the name is taken.
        """
        known = self._store.find_by_name(tx, check_experiment_name(name))
        if known is not None:
            raise _taken(known)
        return self.add(tx, name, artifact_location, tags)

    def add(
        self, tx: Transaction, name: str, artifact_location: str = "", tags: dict[str, str] | None = None
    ) -> Experiment:
        """Make an experiment whose name is free."""
        made = self._store.add(
            tx,
            Experiment(
                id=DEFAULT,
                name=name,
                artifact_location=artifact_location,
                created_at=tx.now,
                updated_at=tx.now,
                created_by=tx.actor.name,
                tags=check_texts(tags or {}, "tags"),
            ),
        )
        tx.record("tracking.create_experiment", made.ref, name=name)
        return made

    @reads
    def get_experiment(self, tx: Transaction, name: str) -> Experiment:
        """An experiment by its name, deleted or not."""
        found = self._store.find_by_name(tx, name)
        if found is None:
            raise NotFoundError(f"there is no experiment {name!r}", hint="'penstock runs list' names those there are")
        return found

    @reads
    def get_experiment_by_id(self, tx: Transaction, experiment_id: ExperimentId) -> Experiment:
        """An experiment by its number, deleted or not."""
        found = self._store.find(tx, experiment_id)
        if found is None:
            raise no_experiment(experiment_id)
        return found

    @reads
    def list_experiments(self, tx: Transaction, limit: int = 100, after: str = "") -> list[Experiment]:
        """Experiments that are not deleted, by name; to go on, give the last name as `after`."""
        if not 1 <= limit <= PAGE_LIMIT:
            raise InvalidInputError(f"limit {limit} is not between 1 and {PAGE_LIMIT}", field="limit")
        return self._store.list_by_name(tx, limit, after)

    @reads
    def search_experiments(
        self,
        tx: Transaction,
        filter: str = "",
        order_by: Sequence[str] = (),
        view: View = View.ACTIVE,
        limit: int = PAGE_LIMIT,
        page_token: str = "",
    ) -> ExperimentPage:
        """A page of the experiments that match a filter, such as `name LIKE 'churn%' AND tags.team = 'risk'`.

        Args:
            filter: clauses on `name`, `experiment_id`, `creation_time`, `last_update_time` and `tags.KEY`.
            order_by: keys such as `name ASC`; the newest come first unless asked otherwise.
            view: experiments that are there, deleted ones, or both.
            limit: how many at most.
            page_token: the `next` of the page before.

        Raises:
            InvalidInputError: a filter or order that cannot be read; the message says where and what is allowed.
        """
        found = find_experiments(tx, filter, order_by, view, limit, page_token)
        return ExperimentPage(tuple(self._store.list_by_ids(tx, found.ids)), found.next)

    @writes
    def rename_experiment(self, tx: Transaction, experiment_id: ExperimentId, name: str) -> Experiment:
        """Give an experiment another name; its runs and their artifacts stay where they are.

        Raises:
            AlreadyExistsError: the name is taken.
            ConflictError: the experiment is deleted.
        """
        held = self.get_active.join(tx, experiment_id)
        other = self._store.find_by_name(tx, check_experiment_name(name))
        if other is not None and other.id != experiment_id:
            raise _taken(other)
        self._store.change(tx, experiment_id, name=name)
        tx.record("tracking.rename_experiment", held.ref, before=held.name, after=name)
        return self.get_experiment_by_id.join(tx, experiment_id)

    @writes
    def delete_experiment(self, tx: Transaction, experiment_id: ExperimentId) -> None:
        """Delete an experiment with its runs; both can be restored.

        Raises:
            NotFoundError: no such experiment, or it is deleted already.
        """
        held = self.get_experiment_by_id.join(tx, experiment_id)
        if held.deleted_at is not None:
            raise NotFoundError(f"No Experiment with id={experiment_id} exists: it is deleted already")
        self._store.change(tx, experiment_id, deleted_at=tx.now)
        count = self._runs.delete_runs_of(tx, experiment_id)
        tx.record("tracking.delete_experiment", held.ref, name=held.name, runs=count)

    @writes
    def restore_experiment(self, tx: Transaction, experiment_id: ExperimentId) -> Experiment:
        """Bring back a deleted experiment and the runs that were deleted with it.

        Raises:
            NotFoundError: no such experiment, or it is not deleted.
        """
        held = self.get_experiment_by_id.join(tx, experiment_id)
        if held.deleted_at is None:
            raise NotFoundError(f"Experiment with id={experiment_id} is not deleted, so there is nothing to restore")
        self._store.change(tx, experiment_id, deleted_at=None)
        count = self._runs.restore_runs_of(tx, experiment_id, held.deleted_at)
        tx.record("tracking.restore_experiment", held.ref, name=held.name, runs=count)
        return self.get_experiment_by_id.join(tx, experiment_id)

    @writes
    def set_experiment_tags(self, tx: Transaction, experiment_id: ExperimentId, tags: dict[str, str]) -> None:
        """Set tags; those not named stay."""
        held = self.get_active.join(tx, experiment_id)
        self._store.set_tags(tx, experiment_id, check_texts(tags, "tags"))
        self._store.change(tx, experiment_id)
        tx.record("tracking.set_experiment_tags", held.ref, tags=tags)

    @writes
    def remove_experiment_tag(self, tx: Transaction, experiment_id: ExperimentId, key: str) -> None:
        """Forget a tag.

        Raises:
            NotFoundError: the experiment has no such tag.
        """
        held = self.get_active.join(tx, experiment_id)
        if check_key(key, "key") not in held.tags:
            raise NotFoundError(f"No tag with name: {key} in experiment with id {experiment_id}")
        self._store.remove_tag(tx, experiment_id, key)
        self._store.change(tx, experiment_id)
        tx.record("tracking.remove_experiment_tag", held.ref, key=key)

    @reads
    def count_runs(self, tx: Transaction) -> dict[str, int]:
        """How many runs each experiment holds, without those that are deleted."""
        return self._store.count_runs(tx)

    def open_by_name(self, tx: Transaction, name: str) -> Experiment:
        """The experiment of that name, made when there is none.

        Raises:
            ConflictError: it is deleted.
        """
        known = self._store.find_by_name(tx, check_experiment_name(name))
        return self.add(tx, name) if known is None else _check_active(known)

    @reads
    def get_active(self, tx: Transaction, experiment_id: ExperimentId) -> Experiment:
        """An experiment by its number, when it can take runs and changes.

        Raises:
            ConflictError: it is deleted.
        """
        return _check_active(self.get_experiment_by_id.join(tx, experiment_id))


def _check_active(experiment: Experiment) -> Experiment:
    check_active(experiment.id, experiment.name, is_deleted=experiment.deleted_at is not None)
    return experiment


def _taken(known: Experiment) -> AlreadyExistsError:
    if known.deleted_at is not None:
        return AlreadyExistsError(
            f"experiment {known.name!r} (number {known.id}) already exists in deleted state",
            hint="restore it, or choose another name",
        )
    return AlreadyExistsError(
        f"there is an experiment {known.name!r} already; Experiment(name={known.name}) already exists",
        hint="log to it, or choose another name",
    )
