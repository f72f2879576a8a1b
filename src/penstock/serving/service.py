"""The verbs of serving: a rollout is a state machine, and every switch of traffic is one transaction."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from penstock.core import failpoints
from penstock.core.errors import ConflictError
from penstock.core.ids import Digest, RolloutId, check_name, new_id
from penstock.core.project.types import Decide, GuardSection, MarginsSection, RulesSection, Strategy
from penstock.registry.lookup import VersionUse
from penstock.registry.service import RegistryService
from penstock.registry.types import ModelVersion, VersionStatus
from penstock.serving.store import ServingStore
from penstock.serving.strategies import check_default, plan_rollout
from penstock.serving.tables import gateway_reports
from penstock.serving.types import (
    Deployment,
    DeploymentRoute,
    Fence,
    GatewayReport,
    Revision,
    RevisionRoute,
    Rollout,
    RolloutEvent,
    RolloutMeasures,
    RolloutState,
    Routing,
)
from penstock.storage.database import Database
from penstock.storage.leases import check_fence
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

NO_GUARD = GuardSection()
USUAL_MARGINS = MarginsSection()
MEASURED_EVERY = timedelta(minutes=1)
SPARSER = 100  # of a rollout that lasts, measures are kept at intervals of its age divided by this
SILENT_AFTER = timedelta(minutes=1)  # gateways report every few seconds


class ServingService:
    """Says which revision of a deployment gets which share of the traffic."""

    noun = "serving"

    def __init__(self, db: Database, registry: RegistryService) -> None:
        self.db = db
        self._registry = registry
        self._store = ServingStore()
        registry.protect(self._find_uses)
        columns = ["routing", "revisions", "failures", "waiting_segments", "dropped_copies", "at"]
        self._upsert_report = db.upsert(gateway_reports, keys=["gateway"], update=columns)

    @writes
    def deploy(
        self,
        tx: Transaction,
        deployment: str,
        model: str,
        version: int,
        strategy: Strategy = "direct",
        steps: tuple[float, ...] | None = None,
        share: float | None = None,
        guard: GuardSection = NO_GUARD,
        margins: MarginsSection = USUAL_MARGINS,
        decide: Decide | None = None,
        min_requests: int = 200,
        key: str | None = None,
        default: dict[str, Any] | None = None,
        rules: RulesSection | None = None,
        reason: str = "",
        fence: Fence | None = None,
    ) -> Rollout:
        """Bring a model version into traffic, by a strategy.

        `direct`: at once. `canary`: step by step beside the stable revision. `shadow`: it gets a copy of each request
        first, and nobody hears its answers. `ab`: beside the stable revision, until it is shown which is better.
        What is said here holds for the whole rollout, whatever becomes of the project file meanwhile. The first
        revision of a deployment takes all traffic at once, as there is nothing to compare it with.

        Args:
            deployment: its name; made when there is none yet.
            model: name of the model.
            version: of the model.
            strategy: see above.
            steps: shares of traffic, rising: of a canary, or after the shadow; None for those of the strategy.
            share: of the traffic, of `ab`; None for a half.
            guard: what the revision must not do while it takes traffic.
            margins: by how much it may be worse than the stable revision.
            decide: when a step is left; None: `no_harm`, and `evidence` for `shadow` and `ab`.
            min_requests: that a step has to see before it may be left.
            key: the input column that keeps a customer on one revision; None leaves it as it is.
            default: the answer when every revision fails, each output column; None leaves it, and empty removes it.
            rules: of lists of items; None leaves them as they are.
            reason: for the record.
            fence: the lease under which a controller acts.

        Raises:
            NotFoundError: no such model version.
            InvalidInputError: what was asked for does not go together; `field` says which.
            ConflictError: a rollout runs, the version takes all traffic already or is none that penstock can serve, or
                the fence is no longer held.
        """
        _check_fence(tx, fence)
        known = self._store.find_deployment(tx, deployment)
        plan = plan_rollout(strategy, steps, share, decide, key or (known.key if known else None))
        target = self._registry.get_version.join(tx, model, version)
        if target.status is VersionStatus.ARCHIVED:
            raise ConflictError(
                f"version {version} of model {model!r} is archived", hint="set its status to ready first"
            )
        tree = _check_servable(target)
        check_default(default or {}, target)
        held = known or self._store.insert_deployment(tx, check_name(deployment, "deployment"))
        if held.rollout is not None:
            raise ConflictError(
                f"deployment {deployment!r} has a rollout that runs: {held.rollout}",
                hint=f"abort it with 'penstock rollback {deployment}', or wait for its end",
            )
        if held.stable is not None and (held.stable.model, held.stable.version) == (model, version):
            raise ConflictError(f"version {version} of model {model!r} answers all requests of {deployment!r} already")
        first = held.stable is None
        direct = strategy == "direct" or first
        revision = self._add_revision(tx, held, target, tree)
        rollout = Rollout(
            id=RolloutId(new_id()),
            deployment=deployment,
            revision=revision.number,
            baseline=None if held.stable is None else held.stable.number,
            strategy="direct" if direct else strategy,
            steps=(1.0,) if direct else plan.steps,
            state="running",
            guard=guard,
            margins=margins,
            decide=plan.decide,
            min_requests=min_requests,
            key=key or held.key,
            started_at=tx.now,
            step_started_at=tx.now,
        )
        rollout = _add_event(tx, rollout, "start", reason, {})
        self._store.insert_rollout(tx, rollout)
        changed = {"key": key, "default": default, "rules": rules}
        self._store.update_deployment(
            tx, deployment, **{name: value for name, value in changed.items() if value is not None}
        )
        tx.record(
            "serving.deploy",
            rollout.ref,
            deployment=deployment,
            revision=revision.number,
            model=model,
            version=version,
            strategy=rollout.strategy,
            share=rollout.share,
            reason=reason,
        )
        if direct:
            return self._promote(tx, rollout, reason or "direct release", {})
        self._switch(tx, deployment, candidate=revision.number, share=plan.steps[0], rollout=rollout.id)
        return rollout

    @writes
    def advance(
        self,
        tx: Transaction,
        rollout_id: RolloutId,
        fence: Fence | None = None,
        evidence: dict[str, Any] = {},  # noqa: B006 - only read
        reason: str = "",
        step: int | None = None,
    ) -> Rollout:
        """Take the next step of a rollout; after the last step the revision is promoted.

        Args:
            rollout_id: which.
            fence: the lease under which a controller acts.
            evidence: what speaks for it.
            reason: for the record.
            step: the one that was judged and is to be left, counted from 0; None for whichever it is at.

        Raises:
            ConflictError: the rollout has ended or is at another step, or the fence is no longer held.
        """
        rollout = self._get_running(tx, rollout_id, fence)
        if step not in (None, rollout.step):
            raise ConflictError(f"rollout {rollout_id} is at step {rollout.step}, not {step}", hint="judge it anew")
        if rollout.step + 1 == len(rollout.steps):
            return self._promote(tx, rollout, reason or "the last step held", evidence)
        rollout = replace(rollout, step=rollout.step + 1, step_started_at=tx.now)
        rollout = _add_event(tx, rollout, "advance", reason, evidence)
        self._store.update_rollout(tx, rollout)
        tx.record("serving.advance", rollout.ref, **_detail(rollout, reason, evidence))
        self._switch(tx, rollout.deployment, share=rollout.share)
        return rollout

    @writes
    def promote(
        self,
        tx: Transaction,
        rollout_id: RolloutId,
        fence: Fence | None = None,
        evidence: dict[str, Any] = {},  # noqa: B006 - only read
        reason: str = "",
    ) -> Rollout:
        """Give the revision of a running rollout all traffic, whatever step it is at.

        Raises:
            ConflictError: the rollout was aborted, or the fence is no longer held.
        """
        return self._promote(tx, self._get_running(tx, rollout_id, fence), reason, evidence)

    @writes
    def abort(
        self,
        tx: Transaction,
        rollout_id: RolloutId,
        reason: str = "",
        fence: Fence | None = None,
        evidence: dict[str, Any] = {},  # noqa: B006 - only read
    ) -> Rollout:
        """End a rollout and give all traffic back to the stable revision; aborting again changes nothing.

        Raises:
            ConflictError: it was promoted already, or the fence is no longer held.
        """
        _check_fence(tx, fence)
        rollout = self._store.get_rollout(tx, rollout_id)
        if rollout.state == "aborted":
            return rollout
        if rollout.state == "promoted":
            raise ConflictError(
                f"rollout {rollout_id} is promoted", hint=f"use 'penstock rollback {rollout.deployment}'"
            )
        return self._abort(tx, rollout, reason, evidence)

    @writes
    def roll_back(self, tx: Transaction, deployment: str, reason: str = "") -> Deployment:
        """End what runs: a running rollout is aborted; without one, the revision before the stable one comes back.

        It needs no fence and always wins; what was rolled back gets no traffic again.

        Raises:
            NotFoundError: no such deployment.
            ConflictError: there is no earlier revision.
        """
        held = self._store.get_deployment(tx, deployment)
        if held.rollout is not None:
            rollout = self._abort(tx, self._store.get_rollout(tx, held.rollout), reason or "rolled back", {})
            tx.record("serving.roll_back", held.ref, aborted=rollout.id, stable=rollout.baseline, reason=reason)
            return self._store.get_deployment(tx, deployment)
        previous = self._find_previous(tx, held.stable)
        if held.stable is None or previous is None:
            raise ConflictError(
                f"deployment {deployment!r} has no earlier revision to go back to", hint="deploy another version"
            )
        self._store.set_revision_state(tx, held.stable, "rolled_back")
        self._store.set_revision_state(tx, previous, "stable")
        tx.record("serving.roll_back", held.ref, rolled_back=held.stable.number, stable=previous.number, reason=reason)
        self._switch(tx, deployment, stable=previous.number)
        return self._store.get_deployment(tx, deployment)

    @reads
    def routing(self, tx: Transaction) -> Routing:
        """Where requests go now; gateways ask for this again and again."""
        serving = [held for held in self._store.list_deployments(tx) if held.stable is not None]
        previous = {held.name: self._find_previous(tx, held.stable) for held in serving}
        named = [item for held in serving for item in (held.stable, held.candidate, previous[held.name]) if item]
        fast = self._registry.find_fast_trees.join(tx, {revision.tree for revision in named})

        def route(revision: Revision | None) -> RevisionRoute | None:
            if revision is None:
                return None
            tree = revision.tree
            return RevisionRoute(revision.number, revision.model, revision.version, tree, fast.get(tree))

        routes = [
            DeploymentRoute(
                deployment=held.name,
                key=held.key,
                stable=stable,
                candidate=route(held.candidate) if held.share else None,
                share=held.share,
                shadow=None if held.share else route(held.candidate),
                default=held.default,
                rules=held.rules,
                previous=route(previous[held.name]),
            )
            for held in serving
            if (stable := route(held.stable)) is not None
        ]
        return Routing(self._store.routing_number(tx), tuple(routes))

    @reads
    def get_deployment(self, tx: Transaction, deployment: str) -> Deployment:
        """One deployment."""
        return self._store.get_deployment(tx, deployment)

    @reads
    def find_deployment(self, tx: Transaction, deployment: str) -> Deployment | None:
        """One deployment; None when there is none of this name."""
        return self._store.find_deployment(tx, deployment)

    @reads
    def list_deployments(self, tx: Transaction) -> list[Deployment]:
        """All deployments by name."""
        return self._store.list_deployments(tx)

    @reads
    def list_revisions(self, tx: Transaction, deployment: str) -> list[Revision]:
        """The revisions of a deployment, newest first."""
        self._store.get_deployment(tx, deployment)
        return self._store.list_revisions(tx, deployment)

    @reads
    def get_rollout(self, tx: Transaction, rollout_id: RolloutId) -> Rollout:
        """One rollout with all its steps."""
        return self._store.get_rollout(tx, rollout_id)

    @reads
    def list_rollouts(self, tx: Transaction, deployment: str | None = None, limit: int = 100) -> list[Rollout]:
        """Rollouts, newest first; of all deployments when none is named."""
        return self._store.list_rollouts(tx, deployment, min(max(limit, 1), 1000))

    @logs
    def note_measures(
        self, tx: Transaction, rollout_id: RolloutId, decision: str, reason: str, evidence: dict[str, Any]
    ) -> bool:
        """Keep what the judge saw of a running rollout, at most once a minute; later on less often, as it lasts.

        Returns:
            Whether it was kept.
        """
        rollout = self._store.get_rollout(tx, rollout_id)
        last = self._store.find_last_measured(tx, rollout_id)
        every = max(MEASURED_EVERY, (tx.now - rollout.started_at) / SPARSER)
        if rollout.state != "running" or (last is not None and tx.now - last < every):
            return False
        measures = RolloutMeasures(
            rollout=rollout_id,
            at=tx.now,
            step=rollout.step,
            share=rollout.share,
            decision=decision,
            reason=reason,
            evidence=evidence,
        )
        self._store.insert_measures(tx, measures)
        return True

    @reads
    def list_measures(self, tx: Transaction, rollout_id: RolloutId) -> list[RolloutMeasures]:
        """What the judge saw of a rollout over time, oldest first; its end is in the rollout's own events."""
        self._store.get_rollout(tx, rollout_id)
        return self._store.list_measures(tx, rollout_id)

    @logs
    def report_gateway(self, tx: Transaction, report: GatewayReport) -> None:
        """Take in what a gateway says of itself; only its last report is kept."""
        self._store.delete_reports(tx, before=tx.now - SILENT_AFTER)
        self._store.upsert_report(tx, self._upsert_report, replace(report, at=tx.now))

    @reads
    def list_gateways(self, tx: Transaction) -> list[GatewayReport]:
        """The last report of each gateway; one that has said nothing for a minute is taken to be gone."""
        return self._store.list_reports(tx, since=tx.now - SILENT_AFTER)

    def _add_revision(self, tx: Transaction, held: Deployment, target: ModelVersion, tree: Digest) -> Revision:
        number = self._store.next_revision_number(tx, held.name)
        revision = Revision(
            deployment=held.name,
            number=number,
            model=target.model,
            version=target.version,
            tree=tree,
            state="candidate",
            created_at=tx.now,
        )
        self._store.insert_revision(tx, revision)
        keep_objects(tx, revision.ref, [tree])
        tx.link(target.ref, revision.ref, "served as")
        tx.link(revision.ref, held.ref, "deployed to")
        return revision

    def _find_uses(self, tx: Transaction) -> Iterator[VersionUse]:
        """The versions that take traffic, or would after a rollback."""
        for held in self._store.list_deployments(tx):
            for revision in (held.stable, held.candidate, self._find_previous(tx, held.stable)):
                if revision is not None:
                    yield VersionUse(held.ref, revision.model, revision.version)

    def _get_running(self, tx: Transaction, rollout_id: RolloutId, fence: Fence | None) -> Rollout:
        _check_fence(tx, fence)
        rollout = self._store.get_rollout(tx, rollout_id)
        if rollout.state != "running":
            raise ConflictError(f"rollout {rollout_id} is {rollout.state}", hint="deploy the version again")
        return rollout

    def _promote(self, tx: Transaction, rollout: Rollout, reason: str, evidence: dict[str, Any]) -> Rollout:
        held = self._store.get_deployment(tx, rollout.deployment)
        revision = self._store.get_revision(tx, rollout.deployment, rollout.revision)
        if held.stable is not None:
            self._store.set_revision_state(tx, held.stable, "replaced")
        self._store.set_revision_state(tx, revision, "stable", replaced=held.stable.number if held.stable else None)
        ended = self._end(tx, rollout, "promoted", reason, evidence)
        self._switch(tx, held.name, stable=revision.number, candidate=None, share=0.0, rollout=None)
        return ended

    def _abort(self, tx: Transaction, rollout: Rollout, reason: str, evidence: dict[str, Any]) -> Rollout:
        revision = self._store.get_revision(tx, rollout.deployment, rollout.revision)
        self._store.set_revision_state(tx, revision, "aborted")
        ended = self._end(tx, rollout, "aborted", reason, evidence)
        self._switch(tx, rollout.deployment, candidate=None, share=0.0, rollout=None)
        return ended

    def _end(
        self, tx: Transaction, rollout: Rollout, state: RolloutState, reason: str, evidence: dict[str, Any]
    ) -> Rollout:
        action = "promote" if state == "promoted" else "abort"
        ended = _add_event(tx, replace(rollout, state=state, ended_at=tx.now), action, reason, evidence)
        self._store.update_rollout(tx, ended)
        tx.record(f"serving.{action}", ended.ref, **_detail(ended, reason, evidence))
        return ended

    def _switch(self, tx: Transaction, deployment: str, **values: Any) -> None:
        """Change where traffic goes; gateways see it by the number."""
        failpoints.hit("serving.traffic_switch")
        self._store.update_deployment(tx, deployment, **values)
        self._store.raise_routing_number(tx)

    def _find_previous(self, tx: Transaction, stable: Revision | None) -> Revision | None:
        """The last good revision before this one: those that were rolled back themselves are passed over."""
        at = stable
        while at is not None and at.replaced is not None:
            at = self._store.get_revision(tx, at.deployment, at.replaced)
            if at.state == "replaced":
                return at
        return None


def _check_fence(tx: Transaction, fence: Fence | None) -> None:
    if fence is not None:
        check_fence(tx, fence.lease, fence.number)


def _check_servable(version: ModelVersion) -> Digest:
    """The model directory of a version; whether it can be loaded is for the gateway to find out.

    Raises:
        ConflictError: its files are not here, or are no model.
    """
    tree = version.get_tree()
    if version.task is None and not version.flavor:
        raise ConflictError(
            f"version {version.version} of model {version.model!r} was saved without a readable MLmodel file "
            "and cannot be served here",
            hint="save it with penstock or mlflow, and register it again",
        )
    return tree


def _add_event(tx: Transaction, rollout: Rollout, action: Any, reason: str, evidence: dict[str, Any]) -> Rollout:
    event = RolloutEvent(
        action=action, share=rollout.share, at=tx.now, actor=tx.actor.name, reason=reason, evidence=evidence
    )
    return replace(rollout, events=(*rollout.events, event))


def _detail(rollout: Rollout, reason: str, evidence: dict[str, Any]) -> dict[str, Any]:
    return {
        "deployment": rollout.deployment,
        "revision": rollout.revision,
        "share": rollout.share,
        "reason": reason,
        "evidence": evidence,
    }
