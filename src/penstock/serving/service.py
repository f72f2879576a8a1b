"""The verbs of serving: a rollout is a state machine, and every switch of traffic is one transaction."""

from typing import Any

from msgspec.structs import replace

from penstock.core import failpoints
from penstock.core.errors import ConflictError
from penstock.core.ids import Digest, RolloutId, check_name, new_id
from penstock.core.project.types import Decide, GuardSection, MarginsSection, RulesSection, Strategy
from penstock.registry.types import ModelVersion, VersionStatus
from penstock.serving.reporting import ServingReports
from penstock.serving.strategies import check_default, plan_rollout
from penstock.serving.types import (
    Deployment,
    Fence,
    Revision,
    Rollout,
    RolloutEvent,
    RolloutState,
)
from penstock.storage.leases import check_fence
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import writes

NO_GUARD = GuardSection()
USUAL_MARGINS = MarginsSection()


class ServingService(ServingReports):
    """Says which revision of a deployment gets which share of the traffic."""

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
        tree = _check_servable(target)
        check_default(default or {}, target)
        held = known or self._store.insert_deployment(tx, check_name(deployment, "deployment"))
        _check_free(held, model, version)
        direct = strategy == "direct" or held.stable is None
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


def _check_fence(tx: Transaction, fence: Fence | None) -> None:
    if fence is not None:
        check_fence(tx, fence.lease, fence.number)


def _check_servable(version: ModelVersion) -> Digest:
    """The model directory of a version; whether it can be loaded is for the gateway to find out.

    Raises:
        ConflictError: it is archived, or its files are not here, or are no model.
    """
    if version.status is VersionStatus.ARCHIVED:
        raise ConflictError(
            f"version {version.version} of model {version.model!r} is archived", hint="set its status to ready first"
        )
    tree = version.get_tree()
    if version.task is None and not version.flavor:
        raise ConflictError(
            f"version {version.version} of model {version.model!r} was saved without a readable MLmodel file "
            "and cannot be served here",
            hint="save it with penstock or mlflow, and register it again",
        )
    return tree


def _check_free(held: Deployment, model: str, version: int) -> None:
    """Refuse a version beside a rollout that runs, or one that answers all requests already.

    Raises:
        ConflictError: either.
    """
    if held.rollout is not None:
        raise ConflictError(
            f"deployment {held.name!r} has a rollout that runs: {held.rollout}",
            hint=f"abort it with 'penstock rollback {held.name}', or wait for its end",
        )
    if held.stable is not None and (held.stable.model, held.stable.version) == (model, version):
        raise ConflictError(f"version {version} of model {model!r} answers all requests of {held.name!r} already")


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
