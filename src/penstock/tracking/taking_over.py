"""The verbs that take over records of another tracker as they are: ids, times and deletions included."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from blake3 import blake3
from msgspec import Struct, structs
from numpy.typing import NDArray
from sqlalchemy import insert, text, update

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, ExperimentId, RunId
from penstock.storage.columns import from_microseconds
from penstock.storage.database import Database
from penstock.storage.rows import to_row
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads
from penstock.tracking.experiment_store import ExperimentStore
from penstock.tracking.facts import FactKind, Facts
from penstock.tracking.histories import read_history
from penstock.tracking.inputs.service import InputService
from penstock.tracking.inputs.types import ModelOutput, RunInputs
from penstock.tracking.locations import artifact_uri
from penstock.tracking.names import check_experiment_name, check_key, check_run_id, check_texts
from penstock.tracking.new_runs import no_experiment
from penstock.tracking.places import BATCH_LIMIT, check_place
from penstock.tracking.store import TrackingStore
from penstock.tracking.tables import Point, experiments, to_sortable
from penstock.tracking.types import Experiment, Run, RunStatus

_LARGEST_ID = 2**63 - 2**32  # room for the ids that follow it


class TakenExperiment(Struct, frozen=True, kw_only=True):
    """An experiment as another tracker knows it."""

    name: str
    wanted_id: ExperimentId  # kept where it is free
    created_at: datetime
    updated_at: datetime
    artifact_location: str = ""  # empty: the server's own store
    tags: dict[str, str] = {}


class TakenRun(Struct, frozen=True, kw_only=True):
    """A run as another tracker knows it, without points and artifacts."""

    id: RunId
    experiment_id: ExperimentId
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    created_by: str = ""
    artifact_uri: str = ""  # empty: in the server's own store
    parent: RunId | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    inputs: RunInputs = RunInputs()
    outputs: tuple[ModelOutput, ...] = ()


class MetricSummary(Struct, frozen=True):
    """The points of one metric: how many, and their digest."""

    points: int
    digest: Digest


class RunSummary(Struct, frozen=True, kw_only=True):
    """What there is of a run, in few words: two trackers that hold the same run give the same."""

    head: Digest  # of name, status, times, user, params and tags
    links: Digest  # of inputs and outputs
    params: int
    tags: int
    metrics: dict[str, MetricSummary] = {}
    deleted_at: datetime | None = None


class TakingOverService:
    """Takes over experiments and runs. Every verb may be repeated, after a stop at any point: what is there stays."""

    noun = "taking-over"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._facts = FactKind(db)
        self._runs = TrackingStore(db)
        self._experiments = ExperimentStore(db)
        self._inputs = InputService(db)

    @logs
    def take_over_experiment(self, tx: Transaction, experiment: TakenExperiment) -> Experiment:
        """Make an experiment, or bring the tags of the one of that name up to date; a new one is not deleted yet."""
        known = self._experiments.find_by_name(tx, check_experiment_name(experiment.name))
        check_texts(experiment.tags, "tags")
        if known is None:
            known = self._add(tx, experiment)
            tx.record("tracking.take_over_experiment", known.ref, name=known.name)
        self._experiments.set_tags(tx, known.id, experiment.tags)
        return structs.replace(known, tags=known.tags | experiment.tags)

    @logs
    def settle_experiment(
        self, tx: Transaction, experiment_id: ExperimentId, updated_at: datetime, deleted_at: datetime | None = None
    ) -> None:
        """Give an experiment whose runs are all there the moment of its last change, and of its deletion."""
        known = self._experiments.find(tx, experiment_id)
        if known is None:
            raise no_experiment(experiment_id)
        updated_at = max(known.updated_at, updated_at)
        if (known.updated_at, known.deleted_at) != (updated_at, deleted_at):
            held = update(experiments).where(experiments.c.id == experiment_id)
            tx.execute(held.values(updated_at=updated_at, deleted_at=deleted_at))
        if known.deleted_at != deleted_at:
            tx.record("tracking.settle_experiment", known.ref, before=known.deleted_at, after=deleted_at)

    @logs
    def take_over_run(self, tx: Transaction, run: TakenRun) -> None:
        """Make a run, or bring the one of that id up to date; it is active until it is settled.

        Raises:
            NotFoundError: no such experiment.
            ConflictError: the id belongs to a run of another experiment, or a parameter has another value here.
            InvalidInputError: something of it cannot be kept.
        """
        home = self._experiments.find(tx, run.experiment_id)
        if home is None:
            raise no_experiment(run.experiment_id)
        known = self._runs.find_run(tx, RunId(check_run_id(run.id)))
        if known is None:
            known = self._add_run(tx, home, run)
        elif known.experiment_id != run.experiment_id:
            raise ConflictError(f"run {run.id} belongs to experiment {known.experiment!r} here, not {home.name!r}")
        else:
            check_key(run.name, "name")
            self._runs.set_deleted(tx, run.id, None)
            self._runs.rename(tx, run.id, run.name)
            uri = run.artifact_uri or artifact_uri(home.id, home.artifact_location, run.id)
            times = {"started_at": run.started_at, "ended_at": run.ended_at, "sealed_at": None}
            self._runs.set_status(tx, run.id, run.status, artifact_uri=uri, created_by=run.created_by, **times)
        params, tags = check_texts(run.params, "params"), check_texts(run.tags, "tags")
        self._facts.join(tx, Facts(run.id, params=params, tags=tags, may_be_late=True))
        for key in {key for _, key, _ in self._runs.tags_of(tx, [run.id])} - set(tags):
            self._runs.remove_tag(tx, run.id, key)
        self._inputs.log_inputs.join(tx, run.id, run.inputs.datasets, run.inputs.models)
        self._inputs.log_outputs.join(tx, run.id, run.outputs)

    @logs
    def take_over_points(self, tx: Transaction, run_id: RunId, points: list[Point]) -> None:
        """Add points to a run that was taken over; those that are there already stay as they are.

        Args:
            run_id: the run.
            points: up to 10,000, each with key, step, microseconds since 1970, and the value as `to_sortable` gives it.
        """
        if len(points) > BATCH_LIMIT:
            raise InvalidInputError(f"{len(points)} points are too many", hint=f"send {BATCH_LIMIT} at a time")
        for key in {point[0] for point in points}:
            check_key(key, "points")
        for _, *place in points:
            check_place(*place)
        self._facts.join(tx, Facts(run_id, points, may_be_late=True))

    @logs
    def settle_run(self, tx: Transaction, run_id: RunId, deleted_at: datetime | None = None) -> None:
        """Give a run whose points and artifacts are all there the moment of its deletion; None: it is active."""
        known = self._runs.find_run(tx, run_id)
        if known is None:
            raise NotFoundError(f"there is no run {run_id!r}", hint="take it over first")
        if known.deleted_at != deleted_at:
            self._runs.set_deleted(tx, run_id, deleted_at)
            tx.record("tracking.settle_run", known.ref, before=known.deleted_at, after=deleted_at)

    @reads
    def summarize_run(self, tx: Transaction, run_id: RunId) -> RunSummary | None:
        """What there is of a run; None when there is no such run."""
        run = self._runs.find_run(tx, run_id)
        if run is None:
            return None
        params = {key: value for _, key, value in self._runs.params_of(tx, [run_id])}
        tags = {key: value for _, key, value in self._runs.tags_of(tx, [run_id])}
        taken = TakenRun(
            id=run.id,
            experiment_id=run.experiment_id,
            name=run.name,
            status=run.status,
            started_at=run.started_at,
            ended_at=run.ended_at,
            created_by=run.created_by,
            params=params,
            tags=tags,
            inputs=self._inputs.inputs_of(tx, [run_id])[run_id],
            outputs=tuple(self._inputs.outputs_of(tx, [run_id])[run_id]),
        )
        metrics = {}
        for _, metric in self._runs.metrics_of(tx, [run_id]):
            held = read_history(tx, run_id, metric.key)
            metrics[metric.key] = summarize_points(held.at, held.steps, held.values)
        return summarize(taken, metrics, run.deleted_at)

    def _add(self, tx: Transaction, taken: TakenExperiment) -> Experiment:
        made = Experiment(
            id=taken.wanted_id,
            name=taken.name,
            artifact_location=taken.artifact_location,
            created_at=taken.created_at,
            updated_at=taken.updated_at,
            created_by=tx.actor.name,
        )
        if not 0 < made.id < _LARGEST_ID or self._experiments.find(tx, made.id) is not None:
            return self._experiments.add(tx, made)
        tx.execute(insert(experiments).values({name: each for name, each in to_row(made).items() if name != "tags"}))
        if tx.connection.dialect.name == "postgresql":  # SQLite goes on behind the greatest number by itself
            newest = "SELECT setval(pg_get_serial_sequence('experiments', 'id'), (SELECT max(id) FROM experiments))"
            tx.execute(text(newest))
        return made

    def _add_run(self, tx: Transaction, home: Experiment, taken: TakenRun) -> Run:
        run = Run(
            id=taken.id,
            experiment=home.name,
            experiment_id=home.id,
            name=check_key(taken.name, "name"),
            status=taken.status,
            started_at=taken.started_at,
            ended_at=taken.ended_at,
            created_by=taken.created_by,
            artifact_uri=taken.artifact_uri or artifact_uri(home.id, home.artifact_location, taken.id),
            parent=taken.parent,
        )
        self._runs.add_runs(tx.connection, [run])
        tx.record("tracking.take_over_run", run.ref, experiment=home.name, name=run.name)
        return run


def summarize(run: TakenRun, metrics: dict[str, MetricSummary], deleted_at: datetime | None = None) -> RunSummary:
    """A run with its metrics in few words."""
    names = (run.id, run.name, run.status, run.started_at, run.ended_at, run.created_by, run.params, run.tags)
    datasets = sorted(run.inputs.datasets, key=lambda each: (each.dataset.name, each.dataset.digest))
    outputs = sorted(run.outputs, key=lambda output: (output.step, output.model_id))
    return RunSummary(
        head=_digest(names),
        links=_digest((datasets, sorted(run.inputs.models), outputs)),
        params=len(run.params),
        tags=len(run.tags),
        metrics=metrics,
        deleted_at=deleted_at,
    )


def summarize_points(at: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64]) -> MetricSummary:
    """The points of a metric in any order; one that is there twice counts once, and every NaN is the same.

    Args:
        at: shape (n,), microseconds since 1970.
        steps: shape (n,).
        values: shape (n,).
    """
    values = np.where(np.isnan(values), np.nan, values)
    table = np.stack([at, steps, np.ascontiguousarray(values).view(np.int64)], axis=1)
    table = np.unique(table, axis=0)
    return MetricSummary(len(table), Digest(blake3(np.ascontiguousarray(table, dtype="<i8").tobytes()).hexdigest()))


def to_batch(key: str, at: Sequence[int], steps: Sequence[int], values: Sequence[float]) -> list[Point]:
    """Points of a metric in the form that `take_over_points` takes."""
    return [(key, step, moment, to_sortable(value)) for moment, step, value in zip(at, steps, values, strict=True)]


def to_moment(milliseconds: int) -> datetime:
    """A time as MLflow writes it; InvalidInputError outside the years 1 to 9999."""
    try:
        return from_microseconds(milliseconds * 1_000)
    except OverflowError:
        told = f"the time {milliseconds} is outside the years 1 to 9999"
        raise InvalidInputError(told, hint="it counts milliseconds since 1970") from None


def _digest(held: object) -> Digest:
    return Digest(blake3(codec.encode(held)).hexdigest())
