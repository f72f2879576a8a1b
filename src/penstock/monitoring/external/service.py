"""The verbs of deployments that are served elsewhere: say that there is one, and which versions of a model answer."""

from datetime import timedelta

from msgspec import structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref, check_name
from penstock.core.project.metrics import metric_problem
from penstock.core.project.types import MonitorSection, OutcomesSection, Task
from penstock.monitoring.external.store import ExternalStore
from penstock.monitoring.external.types import ExternalDeployment, ExternalVersion
from penstock.registry.format.types import Column, Label
from penstock.serving.service import ServingService
from penstock.storage.database import Database
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

WATCHED_TASKS = ("binary", "multiclass", "regression", "ranking")
MAXIMUM_VERSION = 2**31 - 1
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=3653)


class ExternalService:
    """Knows the deployments whose predictions come from elsewhere; the monitor watches them as it does ours."""

    noun = "external"

    def __init__(self, db: Database, serving: ServingService) -> None:
        self.db = db
        self._serving = serving
        self._store = ExternalStore()

    @writes
    def declare(
        self,
        tx: Transaction,
        name: str,
        task: Task,
        monitor: MonitorSection | None = None,
        outcomes: OutcomesSection | None = None,
    ) -> ExternalDeployment:
        """Say that predictions of a deployment will come from elsewhere; saying it again changes how it is watched.

        Args:
            name: of the deployment.
            task: of its model.
            monitor: how it is watched, as `[monitor]` of a project file; None leaves it, and is the usual at first.
            outcomes: how outcomes belong to predictions, as `[outcomes]`; None likewise.

        Raises:
            InvalidInputError: the task or the metric is none that can be watched.
            ConflictError: a gateway serves a deployment of this name, or its task is another.
        """
        check_name(name, "deployment")
        _check_terms(task, monitor, outcomes)
        if self._serving.find_deployment.join(tx, name) is not None:
            raise ConflictError(f"deployment {name!r} is served here; its predictions log themselves")
        known = self._store.find_deployment(tx, name)
        if known is None:
            made = ExternalDeployment(name=name, task=task, created_at=tx.now)
            made = _change(made, monitor, outcomes)
            self._store.insert_deployment(tx, made)
            tx.record("external.declare", made.ref, task=task)
            return made
        if known.task != task:
            raise ConflictError(f"deployment {name!r} is of the task {known.task!r}, not {task!r}")
        changed = _change(known, monitor, outcomes)
        if changed != known:
            self._store.update_deployment(tx, changed)
        tx.record("external.declare", known.ref, task=task)
        return changed

    @writes
    def add_version(
        self,
        tx: Transaction,
        name: str,
        version: int,
        inputs: list[Column],
        reference: Digest,
        classes: list[Label] = [],  # noqa: B006 - only read
    ) -> ExternalVersion:
        """Say what a version of the model takes; a second time only classes that it had not shown yet are added.

        Args:
            name: of the deployment.
            version: its number, from 1.
            inputs: the columns that are watched.
            reference: Parquet in the object store: what they are held against.
            classes: of a classifier, in their order; the last is the positive one of two.

        Raises:
            NotFoundError: no such deployment.
            InvalidInputError: the version is no number from 1 on, or there is no column.
        """
        deployment = self._get(tx, name)
        if not 1 <= version <= MAXIMUM_VERSION:
            raise InvalidInputError(f"{version} is no version", hint="number them from 1", field="version")
        known = self._store.find_version(tx, name, version)
        ref = Ref("external-version", f"{name}/{version}")
        if known is not None:
            grown = structs.replace(known, classes=merge_classes(known.classes, classes))
            if grown != known:
                self._store.update_version(tx, grown)
            tx.record("external.add_version", ref, classes=list(grown.classes))
            return grown
        if not inputs:
            raise InvalidInputError("a version without inputs has nothing to watch", field="inputs")
        made = ExternalVersion(
            deployment=name,
            version=version,
            inputs=tuple(inputs),
            classes=tuple(classes),
            reference=reference,
            created_at=tx.now,
        )
        self._store.insert_version(tx, made)
        keep_objects(tx, ref, [reference])
        tx.record("external.add_version", ref, inputs=[column.name for column in inputs], reference=reference)
        tx.link(ref, deployment.ref, "answers")
        return made

    @logs
    def drop_reference(self, tx: Transaction, name: str, version: int) -> ExternalVersion:
        """Let the rows go that a version's inputs are held against, once their sketch stands for them; once is enough.

        Raises:
            NotFoundError: no such version.
        """
        known = self._store.find_version(tx, name, version)
        if known is None:
            raise NotFoundError(f"nothing is known of version {version} of {name!r}")
        if known.reference_dropped_at is not None:
            return known
        dropped = structs.replace(known, reference_dropped_at=tx.now)
        self._store.update_version(tx, dropped)
        ref = Ref("external-version", f"{name}/{version}")
        drop_objects(tx, ref)
        tx.record("external.drop_reference", ref, reference=known.reference)
        return dropped

    @reads
    def get_deployment(self, tx: Transaction, name: str) -> ExternalDeployment:
        """One deployment that is served elsewhere.

        Raises:
            NotFoundError: there is none of this name.
        """
        return self._get(tx, name)

    @reads
    def list_deployments(self, tx: Transaction) -> list[ExternalDeployment]:
        """The deployments that are served elsewhere, by name."""
        return self._store.list_deployments(tx)

    @reads
    def list_versions(self, tx: Transaction, name: str) -> list[ExternalVersion]:
        """The versions of the model of one deployment, by number."""
        return self._store.list_versions(tx, name)

    def _get(self, tx: Transaction, name: str) -> ExternalDeployment:
        found = self._store.find_deployment(tx, name)
        if found is None:
            raise NotFoundError(
                f"there is no deployment {name!r} that is served elsewhere",
                hint="`penstock monitor import` and `penstock.monitor.log` make one",
            )
        return found


def merge_classes(known: tuple[Label, ...], more: list[Label]) -> tuple[Label, ...]:
    """The classes with those added that are new; numbers, truths and texts are each brought into their order."""
    new = [label for label in more if label not in known]
    if not new:
        return known
    merged = [*known, *new]
    kinds = {type(label) for label in merged}
    return tuple(sorted(merged)) if len(kinds) == 1 else tuple(merged)


def _change(
    known: ExternalDeployment, monitor: MonitorSection | None, outcomes: OutcomesSection | None
) -> ExternalDeployment:
    return structs.replace(
        known,
        monitor=known.monitor if monitor is None else monitor,
        outcomes=known.outcomes if outcomes is None else outcomes,
    )


def _check_terms(task: Task, monitor: MonitorSection | None, outcomes: OutcomesSection | None) -> None:
    if task not in WATCHED_TASKS:
        raise InvalidInputError(
            f"a model of the task {task!r} cannot be watched", hint=f"one of {', '.join(WATCHED_TASKS)}", field="task"
        )
    if monitor is not None:
        _check_length(monitor.window, "monitor.window")
        _check_length(monitor.false_alarms.per, "monitor.false_alarms.per")
        if monitor.keep_inputs is not None:
            _check_length(monitor.keep_inputs, "monitor.keep_inputs")
    if outcomes is not None:
        for name in ("horizon", "after"):
            length = getattr(outcomes, name)
            if length is not None:
                _check_length(length, f"outcomes.{name}")
    if monitor is not None and monitor.performance is not None:
        problem = metric_problem(monitor.performance.metric, task)
        if problem:
            raise InvalidInputError(problem[0], hint=problem[1], field="monitor.performance.metric")
    if outcomes is not None and outcomes.absent == "negative" and task != "binary":
        raise InvalidInputError(f"a model of the task {task!r} has no negative class", field="outcomes.absent")


def _check_length(length: timedelta, field: str) -> None:
    if not SHORTEST <= length <= LONGEST:
        raise InvalidInputError(f"{field}: a length of time is from a second to ten years here", field=field)
