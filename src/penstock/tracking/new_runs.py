"""How runs begin: those of all callers who wait, together."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection

from penstock.core.errors import ConflictError, NotFoundError, PenstockError
from penstock.core.ids import ExperimentId, Ref, RunId, new_hex_id
from penstock.storage.database import Database
from penstock.storage.records import Prepared, fetch, marks
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.tracking.locations import artifact_uri
from penstock.tracking.names import check_key, check_texts
from penstock.tracking.store import TrackingStore
from penstock.tracking.tables import run_tags
from penstock.tracking.types import Run, RunSource, RunStatus

_CHUNK = 500  # values in one query


class NewRun(Struct, kw_only=True):
    """A run that begins; see `TrackingService.create_run`."""

    experiment_id: ExperimentId
    id: RunId | None = None  # chosen by the caller
    name: str = ""  # made from the id when empty
    tags: dict[str, str] = {}
    source: RunSource = RunSource()
    parent: RunId | None = None
    is_scheduled: bool = False
    created_by: str = ""  # who acts, when empty
    started_at: datetime | None = None  # now, when None


class _Home(Struct):
    name: str
    artifact_location: str
    is_deleted: bool


class NewRunKind:
    """Begins runs; attached to one database."""

    def __init__(self, db: Database, store: TrackingStore) -> None:
        text = ("run", "experiment_id", "key", "value")
        self._store = store
        self._set_tags = Prepared(db.engine.dialect, db.upsert(run_tags, keys=("run", "key"), update=("value",)), text)

    def count_rows(self, record: NewRun) -> int:
        """See `RecordKind`."""
        return 2 + len(record.tags)

    def forget(self) -> None:
        """Nothing is remembered."""

    def join(self, tx: Transaction, new: NewRun) -> Run:
        """Begin a run as a part of a transaction.

        Raises:
            NotFoundError: no such experiment.
            ConflictError: the experiment is deleted.
            InvalidInputError: the name or a tag cannot be kept.
        """
        (begun,) = self.apply([(tx, new)])
        if isinstance(begun, PenstockError):
            raise begun
        return begun

    def apply(self, group: Sequence[tuple[Transaction, NewRun]]) -> list[Run | PenstockError]:
        """Begin the runs of a group; see `RecordKind`."""
        connection = group[0][0].connection
        homes = _find_homes(connection, {new.experiment_id for _, new in group})
        begun = [_begin(tx, new, homes.get(new.experiment_id)) for tx, new in group]
        runs = [run for run in begun if isinstance(run, Run)]
        numbers = self._store.add_runs(connection, runs)
        tags = [(numbers[run.id], run.experiment_id, key, value) for run in runs for key, value in run.tags.items()]
        self._set_tags.many(connection, tags)
        for (tx, _), run in zip(group, begun, strict=True):
            if isinstance(run, Run):
                keep_source(tx, run.ref, run.source)
                tx.record("tracking.create_run", run.ref, experiment=run.experiment, name=run.name, source=run.source)
        return begun


def keep_source(tx: Transaction, run: Ref, source: RunSource) -> None:
    """Keep what a run was started from, and its lineage."""
    keep_objects(tx, run, filter(None, (source.git_dirty_diff, source.environment_lock)))
    if source.git_commit:
        tx.link(Ref("commit", source.git_commit), run, "ran")


def _begin(tx: Transaction, new: NewRun, home: _Home | None) -> Run | PenstockError:
    if home is None:
        return no_experiment(new.experiment_id)
    try:
        check_active(new.experiment_id, home.name, is_deleted=home.is_deleted)
        identity = new.id or RunId(new_hex_id())
        return Run(
            id=identity,
            experiment=home.name,
            experiment_id=new.experiment_id,
            name=check_key(new.name or f"run-{identity[-6:]}", "name"),
            status=RunStatus.SCHEDULED if new.is_scheduled else RunStatus.RUNNING,
            started_at=new.started_at or tx.now,
            created_by=new.created_by or tx.actor.name,
            artifact_uri=artifact_uri(new.experiment_id, home.artifact_location, identity),
            parent=new.parent,
            source=new.source,
            tags=check_texts(new.tags, "tags"),
        )
    except PenstockError as refusal:
        return refusal


def _find_homes(connection: Connection, ids: set[ExperimentId]) -> dict[ExperimentId, _Home]:
    wanted = list(ids)
    found = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        query = f"SELECT id, name, artifact_location, deleted_at FROM experiments WHERE id IN ({marks(len(chunk))})"
        for number, name, location, deleted_at in fetch(connection, query, chunk):
            found[ExperimentId(number)] = _Home(name, location, deleted_at is not None)
    return found


def no_experiment(experiment_id: ExperimentId) -> NotFoundError:
    """What to say of an experiment that is not there; in words that clients know, and nothing more."""
    return NotFoundError(f"No Experiment with id={experiment_id} exists")


def check_active(experiment_id: ExperimentId, name: str, *, is_deleted: bool) -> None:
    """Refuse to change an experiment that is deleted.

    Raises:
        ConflictError: it is.
    """
    if is_deleted:
        raise ConflictError(
            f"The experiment {experiment_id} must be in the 'active' state. Current state is deleted",
            hint=f"restore experiment {name!r} first",
        )
