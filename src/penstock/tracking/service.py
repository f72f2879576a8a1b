"""The verbs of tracking: runs and what is logged to them."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any

from blake3 import blake3
from msgspec import structs

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.filters import Clause
from penstock.core.ids import Digest, Ref, RunId
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import adds, logs, reads, writes
from penstock.tracking.batch import to_points
from penstock.tracking.comparison import compare
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.facts import FactKind, Facts, no_run
from penstock.tracking.inputs.store import InputStore
from penstock.tracking.names import check_key, check_run_id, check_texts
from penstock.tracking.new_runs import NewRun, NewRunKind, keep_source
from penstock.tracking.search.records import to_runs
from penstock.tracking.search.runs import RunSearch
from penstock.tracking.search.sql import Sql
from penstock.tracking.store import TrackingStore
from penstock.tracking.types import (
    Comparison,
    Metric,
    MetricPage,
    Run,
    RunPage,
    RunSource,
    RunStatus,
    View,
)

PAGE_LIMIT = 1_000
POINTS_LIMIT = 25_000
SEALED_AT_ONCE = 1_000  # points


class TrackingService:
    """Runs. Metric points are facts, added without an audit entry; the end of a run seals them.

    Verbs that may find nothing to do are declared with `logs` and write their audit entry only when they did something.
    """

    noun = "tracking"

    def __init__(self, db: Database) -> None:
        self.db = db
        self.facts = FactKind(db)
        self.search = RunSearch(partial(_dataset_runs, InputStore(db)))
        self._store = TrackingStore(db)
        self.new_runs = NewRunKind(db, self._store)
        self._experiments = ExperimentService(db)

    @adds
    def create_run(
        self,
        tx: Transaction,
        experiment: str,
        name: str = "",
        tags: dict[str, str] = {},  # noqa: B006  # read only
        source: RunSource | None = None,
        parent: RunId | None = None,
        is_scheduled: bool = False,
        run_id: RunId | None = None,
        started_at: datetime | None = None,
    ) -> Run:
        """Begin a run; its experiment is made when there is none of that name.

        Args:
            experiment: the experiment's name.
            name: what people call the run; made from its id when empty.
            tags: see `log_batch`.
            source: what the run is started from; see `tracking.capture`.
            parent: the run that this one is a part of.
            is_scheduled: whether it still waits for its start; `start_run` starts it.
            run_id: chosen by a caller that may repeat itself: the same id and experiment give the same run.
            started_at: when it began, where that was not now.

        Raises:
            ConflictError: the id belongs to a run of another experiment.
        """
        home = self._experiments.open_by_name(tx, experiment)
        if run_id and (known := self._store.find_run(tx, RunId(check_run_id(run_id)))) is not None:
            return self._fill(tx, [_same_run(known, experiment)])[0]
        if parent is not None:
            self._get(tx, parent)
        return self.new_runs.join(
            tx,
            NewRun(
                experiment_id=home.id,
                id=run_id,
                name=name,
                tags=tags,
                source=source or RunSource(),
                parent=parent,
                is_scheduled=is_scheduled,
                started_at=started_at,
            ),
        )

    @logs
    def start_run(self, tx: Transaction, run_id: RunId, source: RunSource | None = None) -> Run:
        """Let a scheduled run begin; one that runs already is left alone.

        Args:
            run_id: the run.
            source: what it is started from, where only the process that runs it knows.
        """
        run = self._get(tx, run_id)
        if run.status.is_terminal:
            raise ConflictError(f"run {run_id} has ended ({run.status})", hint="create a new run, or resume this one")
        if run.status is RunStatus.SCHEDULED:
            source = source or run.source
            self._store.set_status(tx, run_id, RunStatus.RUNNING, started_at=tx.now, source=source)
            keep_source(tx, run.ref, source)
            tx.record("tracking.start_run", run.ref, source=source)
        return self._fill(tx, [self._get(tx, run_id)])[0]

    @logs
    def end_run(
        self,
        tx: Transaction,
        run_id: RunId,
        status: RunStatus = RunStatus.FINISHED,
        ended_at: datetime | None = None,
    ) -> Run:
        """End a run; the audit entry seals its metrics with their digest. Ending it twice alike changes nothing.

        Raises:
            ConflictError: it has ended otherwise.
        """
        if not status.is_terminal:
            raise InvalidInputError(
                f"a run cannot end as {status.value!r}", hint="say finished, failed or killed", field="status"
            )
        run = self._get(tx, run_id)
        if run.status.is_terminal and run.status is not status:
            raise ConflictError(f"run {run_id} has ended as {run.status.value!r}, not {status.value!r}")
        if not run.status.is_terminal:
            self._end(tx, run, status, ended_at or tx.now)
        return self._fill(tx, [self._get(tx, run_id)])[0]

    @logs
    def resume_run(self, tx: Transaction, run_id: RunId) -> Run:
        """Open an ended run again, so that more can be logged; its next end seals the metrics anew."""
        run = self._get(tx, run_id)
        if run.status.is_terminal:
            self._store.set_status(tx, run_id, RunStatus.RUNNING, ended_at=None, sealed_at=None)
            tx.record("tracking.resume_run", run.ref, before=run.status)
        return self._fill(tx, [self._get(tx, run_id)])[0]

    @reads
    def check_run(self, tx: Transaction, run_id: RunId) -> None:
        """Say that a run is there.

        Raises:
            NotFoundError: it is not.
        """
        self._get(tx, run_id)

    @reads
    def get_run(self, tx: Transaction, run_id: RunId) -> Run:
        """A run with its parameters, latest metrics, tags and inputs."""
        return self._fill(tx, [self._get(tx, run_id)])[0]

    @writes
    def change_run(
        self,
        tx: Transaction,
        run_id: RunId,
        status: RunStatus | None = None,
        ended_at: datetime | None = None,
        name: str | None = None,
    ) -> Run:
        """Set the status, the moment of the end or the name of a run; what is not given stays.

        Raises:
            ConflictError: the run is deleted.
        """
        run = self._get_active(tx, run_id)
        if name is not None and name != run.name:
            self._store.rename(tx, run_id, check_key(name, "name"))
            tx.record("tracking.rename_run", run.ref, before=run.name, after=name)
        if status is not None and status.is_terminal:
            if status is not run.status or (ended_at or run.ended_at) != run.ended_at:
                self._end(tx, run, status, ended_at or tx.now)
        elif status is not None and status is not run.status:
            self._store.set_status(tx, run_id, status, ended_at=None, sealed_at=None)
            tx.record("tracking.change_run", run.ref, before=run.status, after=status)
        return self._fill(tx, [self._get(tx, run_id)])[0]

    @writes
    def delete_run(self, tx: Transaction, run_id: RunId) -> None:
        """Delete a run; it can be restored, and lists and searches show it only where asked for deleted ones.

        One that is deleted already is left alone.
        """
        run = self._get(tx, run_id)
        if run.deleted_at is None:
            self._store.set_deleted(tx, run_id, tx.now)
            tx.record("tracking.delete_run", run.ref, name=run.name)

    @logs
    def restore_run(self, tx: Transaction, run_id: RunId) -> Run:
        """Bring back a deleted run; one that is there is left alone."""
        run = self._get(tx, run_id)
        if run.deleted_at is not None:
            self._store.set_deleted(tx, run_id, None)
            tx.record("tracking.restore_run", run.ref, name=run.name)
        return self._fill(tx, [self._get(tx, run_id)])[0]

    @logs
    def remove_tag(self, tx: Transaction, run_id: RunId, key: str) -> None:
        """Forget a tag of a run.

        Raises:
            NotFoundError: the run has no such tag.
        """
        run = self._get_active(tx, run_id)
        if not self._store.remove_tag(tx, run_id, check_key(key, "key")):
            raise NotFoundError(f"No tag with name: {key} in run with id {run_id}")
        tx.record("tracking.remove_tag", run.ref, key=key)

    @logs
    def seal_run(self, tx: Transaction, run_id: RunId, metrics: Digest, points: int) -> bool:
        """Record the digest of an ended run's points; False when the run goes on, is sealed, or has other points.

        Args:
            run_id: the run.
            metrics: what `digest_points` made of its points.
            points: how many they were.
        """
        run = self._get(tx, run_id)
        if not run.status.is_terminal or self._store.is_sealed(tx, run_id):
            return False
        if self._store.count_points(tx, run_id, points + 1) != points:
            return False
        self._store.set_sealed(tx, run_id)
        tx.record("tracking.seal_run", run.ref, metrics=metrics, points=points)
        return True

    @reads
    def list_unsealed(self, tx: Transaction, limit: int = 100) -> list[RunId]:
        """Runs that have ended and whose points no audit entry seals yet."""
        return self._store.list_unsealed(tx, _check_limit(limit, PAGE_LIMIT))

    @reads
    def list_runs(
        self,
        tx: Transaction,
        experiment: str = "",
        limit: int = 100,
        after: RunId | None = None,
        order_by: str = "-started_at",
        status: RunStatus | None = None,
        parent: RunId | None = None,
    ) -> list[Run]:
        """A page of runs with parameters, latest metrics and tags; the newest first unless asked otherwise.

        Args:
            experiment: only its runs; empty for all.
            limit: how many at most.
            after: the id of the last run of the page before.
            order_by: `started_at`, `name` or `metrics.KEY`, with `-` in front for descending. Runs without the metric
                come last either way, and NaN just before them.
            status: only runs that stand there.
            parent: only parts of this run.

        Raises:
            InvalidInputError: an unknown order.
        """
        _check_order(order_by)
        if experiment:
            self._experiments.get_experiment.join(tx, experiment)
        if after is not None:
            self._get(tx, after)
        found = self._store.list_runs(
            tx,
            experiment=experiment,
            status=status,
            parent=parent,
            limit=_check_limit(limit, PAGE_LIMIT),
            after=after,
            order_by=order_by,
        )
        return self._fill(tx, found)

    @reads
    def search_runs(
        self,
        tx: Transaction,
        filter: str = "",
        order_by: Sequence[str] = (),
        experiments: Sequence[str] = (),
        limit: int = 100,
        page_token: str = "",
        view: View = View.ACTIVE,
    ) -> RunPage:
        """A page of the runs that match a filter, such as `metrics.auc > 0.9 AND tags.team = 'risk'`.

        Args:
            filter: clauses on `metrics.KEY`, `params.KEY`, `tags.KEY` and attributes, joined by AND.
            order_by: keys such as `metrics.auc DESC`; the newest runs come first unless asked otherwise. Runs without
                the key come last either way, and NaN just before them.
            experiments: names; none for all experiments that are not deleted.
            limit: how many at most.
            page_token: the `next` of the page before.
            view: runs that are there, deleted ones, or both.

        Raises:
            InvalidInputError: a filter or order that cannot be read; the message says where and what is allowed.
            NotFoundError: no experiment of that name.
        """
        ids: Sequence[int]
        if experiments:
            ids = [self._experiments.get_experiment.join(tx, name).id for name in experiments]
        else:
            ids = self._store.list_experiment_ids(tx)
        found = self.search.find(tx, ids, filter, order_by, view, _check_limit(limit, PAGE_LIMIT), page_token)
        return RunPage(tuple(to_runs(tx, found.runs)), found.next)

    @adds
    def log_batch(
        self,
        tx: Transaction,
        run_id: RunId,
        metrics: Sequence[Metric] = (),
        params: dict[str, str] = {},  # noqa: B006  # read only
        tags: dict[str, str] = {},  # noqa: B006  # read only
    ) -> None:
        """Log to a run that has not ended: all of the batch or nothing. The same batch again changes nothing.

        Args:
            run_id: the run.
            metrics: points; the same point is stored once.
            params: never change once they are set.
            tags: may change.

        Raises:
            ConflictError: the run has ended, or a parameter has another value.
            InvalidInputError: a key, value or number that cannot be kept; `field` says which.
        """
        facts = Facts(run_id, to_points(metrics, tx.now), check_texts(params, "params"), check_texts(tags, "tags"))
        self.facts.join(tx, facts)

    def append_metrics(self, run_id: RunId, metrics: Sequence[Metric]) -> "Future[None]":
        """Queue points for the next group of writes: the cheap way for many small calls, from any thread.

        The points of one call are kept together or not at all; the future is resolved after the commit, or refused as
        `log_batch` would be.

        Raises:
            InvalidInputError: as for `log_batch`.
        """
        return self.db.add(self.facts, Facts(run_id, to_points(metrics, self.db.clock.now())))

    @reads
    def metric_history(
        self, tx: Transaction, run_id: RunId, key: str, limit: int = 10_000, after: str = ""
    ) -> MetricPage:
        """Every point of a metric by time, then step; to go on, give the page's `next` as `after`."""
        self._get(tx, run_id)
        limit = _check_limit(limit, POINTS_LIMIT)
        last = _read_place(after) if after else None
        found = self._store.list_points(tx, run_id, key, limit + 1, last)
        points = tuple(found[:limit])
        return MetricPage(points, codec.encode_text(points[-1]) if len(found) > limit else "")

    @logs
    def log_input(self, tx: Transaction, run_id: RunId, source: Ref, relation: str = "read") -> None:
        """Note what a run read, such as a dataset version: a step of the lineage from source to run."""
        run = self._get(tx, run_id)
        if source in (known for _, known in self._store.inputs_of(tx, [run_id])):
            return
        self._store.add_input(tx, run_id, source, check_key(relation, "relation"))
        tx.link(source, run.ref, relation)
        tx.record("tracking.log_input", run.ref, source=str(source), relation=relation)

    @reads
    def compare_runs(self, tx: Transaction, run_ids: list[RunId]) -> Comparison:
        """Parameters and latest metrics of up to 100 runs side by side."""
        if not 1 <= len(run_ids) <= 100:
            raise InvalidInputError(f"{len(run_ids)} runs cannot be compared", hint="name 1 to 100", field="run_ids")
        return compare(self._fill(tx, [self._get(tx, run_id) for run_id in run_ids]))

    def _get(self, tx: Transaction, run_id: RunId) -> Run:
        run = self._store.find_run(tx, run_id)
        if run is None:
            raise no_run(run_id)
        return run

    def _get_active(self, tx: Transaction, run_id: RunId) -> Run:
        run = self._get(tx, run_id)
        if run.deleted_at is not None:
            raise ConflictError(
                f"The run {run_id} must be in the 'active' state. Current state is deleted", hint="restore it first"
            )
        return run

    def _end(self, tx: Transaction, run: Run, status: RunStatus, ended_at: datetime) -> None:
        """End a run; few points are sealed at once, many by the sealer, as writers wait for us here."""
        self._store.set_status(tx, run.id, status, ended_at=ended_at, sealed_at=None)
        if self._store.count_points(tx, run.id, SEALED_AT_ONCE + 1) > SEALED_AT_ONCE:
            tx.record("tracking.end_run", run.ref, status=status)
            return
        digest, points = self.digest_points(tx, run.id)
        self._store.set_sealed(tx, run.id)
        tx.record("tracking.end_run", run.ref, status=status, metrics=digest, points=points)

    def _fill(self, tx: Transaction, found: list[Run]) -> list[Run]:
        """The same runs with their parameters, latest metrics, tags and inputs."""
        ids = [run.id for run in found]
        parts: dict[str, dict[str, Any]] = {run.id: {"params": {}, "metrics": {}, "tags": {}} for run in found}
        sources: dict[str, list[Ref]] = {run.id: [] for run in found}
        for run_id, key, value in self._store.params_of(tx, ids):
            parts[run_id]["params"][key] = value
        for run_id, key, value in self._store.tags_of(tx, ids):
            parts[run_id]["tags"][key] = value
        for run_id, metric in self._store.metrics_of(tx, ids):
            parts[run_id]["metrics"][metric.key] = metric
        for run_id, source in self._store.inputs_of(tx, ids):
            sources[run_id].append(source)
        return [structs.replace(run, **parts[run.id], inputs=tuple(sources[run.id])) for run in found]

    def digest_points(self, tx: Transaction, run_id: RunId) -> tuple[Digest, int]:
        """The digest of all points in their order, and how many they are."""
        hasher, count = blake3(), 0
        for point in self._store.each_point(tx, run_id):
            hasher.update(codec.encode(point))
            count += 1
        return Digest(hasher.hexdigest()), count


def _dataset_runs(inputs: InputStore, clause: Clause) -> Sql:
    """The runs that read a fitting dataset, for a search."""
    return Sql(*inputs.runs_with_dataset_text(clause.comparator, clause.key, clause.value))


def _check_limit(limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise InvalidInputError(f"limit {limit} is not between 1 and {most}", field="limit")
    return limit


def _read_place(after: str) -> Metric:
    """The last point of a page, as `metric_history` gave it."""
    place = codec.decode(after, Metric)
    if place.at is None or place.at.tzinfo is None:
        raise InvalidInputError(f"after: {after!r} is no place in a metric's history", field="after")
    to_points([place], place.at)  # refuses what no point can be
    return place


def _check_order(order_by: str) -> None:
    name = order_by.removeprefix("-")
    if name not in ("started_at", "name") and not (name.startswith("metrics.") and len(name) > len("metrics.")):
        raise InvalidInputError(
            f"runs cannot be ordered by {order_by!r}",
            hint="use started_at, name or metrics.KEY, with '-' in front for descending",
            field="order_by",
        )


def _same_run(known: Run, experiment: str) -> Run:
    if known.experiment != experiment:
        raise ConflictError(f"run {known.id} belongs to experiment {known.experiment!r}, not {experiment!r}")
    return known
