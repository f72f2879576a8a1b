"""The verbs of the loop: open, read and cancel episodes; take their steps; say what the loop waits for."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from penstock.core import codec, failpoints
from penstock.core.codec import nearest_hint
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import EpisodeId, Ref, check_name, new_id
from penstock.governance.service import GovernanceService
from penstock.loop.retraining.types import Standing, Tried
from penstock.loop.store import LoopStore
from penstock.loop.triggers import Firing
from penstock.loop.types import (
    ENDED,
    Decision,
    Episode,
    EpisodeState,
    EpisodeStory,
    Look,
    LoopState,
    Seen,
)
from penstock.monitoring.service import MonitoringService
from penstock.pipelines.service import PipelineService
from penstock.pipelines.types import Probe
from penstock.predictions.service import PredictionService
from penstock.serving.service import ServingService
from penstock.storage.database import Database
from penstock.storage.leases import Lease, acquire_lease, check_fence
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes

STATES: tuple[EpisodeState, ...] = ("opened", "probing", "training", "judging", "releasing", *ENDED)
MAXIMUM_PAGE = 1_000
PERSON = 0  # the fence of a decision that a person took


class LoopService:
    """Keeps episodes and their decisions; a controller decides, and only the holder of the lease may."""

    noun = "loop"

    def __init__(
        self,
        db: Database,
        *,
        governance: GovernanceService,
        predictions: PredictionService,
        pipelines: PipelineService,
        serving: ServingService,
        monitoring: MonitoringService,
    ) -> None:
        self.db = db
        self._governance = governance
        self._predictions = predictions
        self._pipelines = pipelines
        self._serving = serving
        self._monitoring = monitoring
        self._store = LoopStore(db)

    @writes
    def open_episode(
        self,
        tx: Transaction,
        project: str,
        reason: str = "",
        params: dict[str, Any] = {},  # noqa: B006  # never changed
    ) -> Episode:
        """Train, judge and release now, because a person says so. One episode of a project is open at a time.

        Args:
            project: its name, which is also its model's and its deployment's.
            reason: why, in plain words.
            params: of the pipeline, on top of the project's own.

        Raises:
            ConflictError: an episode is open already.
        """
        firing = Firing(trigger="manual", reason=reason or f"{tx.actor.name} asked for it")
        return self._open(tx, project, firing, PERSON, params)

    @logs
    def respond(self, tx: Transaction, project: str, firing: Firing, fence: int) -> Episode:
        """Open an episode because the policy says so.

        Raises:
            ConflictError: an episode is open already, or the lease is no longer held.
        """
        check_fence(tx, lease_name(project), fence)
        return self._open(tx, project, firing, fence, {})

    @reads
    def list_episodes(self, tx: Transaction, project: str = "", state: str = "", limit: int = 100) -> list[Episode]:
        """Episodes, newest first; empty texts mean all.

        Args:
            project: of this project only.
            state: in this state only.
            limit: at most so many, 1 to 1000.
        """
        if state and state not in STATES:
            raise InvalidInputError(f"{state!r} is no state", hint=nearest_hint(state, STATES), field="state")
        return self._store.list_episodes(tx, project, [state] if state else [], min(max(limit, 1), MAXIMUM_PAGE))

    @reads
    def get_episode(self, tx: Transaction, episode_id: str) -> EpisodeStory:
        """An episode with its decisions.

        Raises:
            NotFoundError: there is none with this id.
        """
        episode = self._store.get_episode(tx, episode_id)
        return EpisodeStory(episode=episode, decisions=self._store.list_decisions(tx, episode_id))

    @reads
    def find_open_episode(self, tx: Transaction, project: str) -> Episode | None:
        """The episode of a project that has not ended."""
        return self._store.find_open_episode(tx, project)

    @writes
    def cancel_episode(self, tx: Transaction, episode_id: str, reason: str = "") -> Episode:
        """End an episode now: its run is cancelled, its rollout aborted, its alert resolved.

        Raises:
            NotFoundError: there is none with this id.
            ConflictError: it has ended, or its version answers all requests already.
        """
        episode = self._store.get_episode(tx, episode_id)
        if not episode.is_open:
            raise ConflictError(f"episode {episode.number} of {episode.project!r} has ended: {episode.state}")
        reason = reason or f"{tx.actor.name} cancelled it"
        if episode.run_id and not self._pipelines.get_run.join(tx, episode.run_id).status.is_terminal:
            self._pipelines.cancel_run.join(tx, episode.run_id, reason)
        if episode.rollout_id:
            self._serving.abort.join(tx, episode.rollout_id, reason)
        if episode.alert_id:
            as_of = self._predictions.watermark.join(tx, episode.project)
            told = f"episode {episode.number} was cancelled: {reason}"
            self._monitoring.resolve_alert.join(tx, episode.alert_id, told, as_of)
        after = msgspec.structs.replace(episode, state="failed")
        return self.take_step.join(tx, episode, after, "cancel", reason, {})

    @logs
    def take_step(
        self,
        tx: Transaction,
        before: Episode,
        after: Episode,
        action: str,
        reason: str,
        evidence: dict[str, Any],
        fence: int = PERSON,
    ) -> Episode:
        """Write one decision and what it makes of the episode; its effect joins the transaction: both happen or none.

        Raises:
            ConflictError: the episode is not as it was read, or the lease is no longer held.
        """
        self._check_fence(tx, before.project, fence)
        if self._store.get_episode(tx, before.id) != before:
            raise ConflictError(f"episode {before.number} of {before.project!r} has moved on since it was read")
        failpoints.hit("loop.before_decision")
        if not after.is_open:
            as_of = self._predictions.watermark.join(tx, after.project)
            after = msgspec.structs.replace(after, ended_at=tx.now, ended_as_of=as_of, summary=reason)
        if after != before:
            self._store.update_episode(tx, after)
        self._decide(tx, after, action, reason, evidence, fence)
        return after

    @logs
    def record_look(self, tx: Transaction, look: Look, fence: int) -> None:
        """Write down that a controller found nothing to do, and how far it had read by then."""
        check_fence(tx, lease_name(look.project), fence)
        self._store.put_look(tx, look)

    @reads
    def read_seen(self, tx: Transaction) -> Seen:
        """How much there is to read: audit events, segments and outcomes."""
        arrived = self._predictions.get_arrivals.join(tx)
        return Seen(events=self._governance.head.join(tx), segments=arrived.segments, outcomes=arrived.outcomes)

    @reads
    def get_state(self, tx: Transaction, project: str) -> LoopState:
        """Whether the loop of a project has anything left to do, and what it waits for.

        Settled means: a controller has looked at everything there is, and only new traffic, outcomes or data, or a
        person, will make it act again.
        """
        episode = self._store.find_open_episode(tx, project)
        look = self._store.find_look(tx, project)
        if look is None:
            settled, waiting_for = False, "a controller: `penstock up` starts one"
        elif look.seen != self.read_seen.join(tx):
            settled, waiting_for = False, "the controller to look at what is new"
        else:
            settled, waiting_for = look.settled, look.waiting_for
        return LoopState(
            project=project, settled=settled, waiting_for=waiting_for, episode=episode.id if episode else None
        )

    @reads
    def find_look(self, tx: Transaction, project: str) -> Look | None:
        """What a controller of a project last had to say; None before the first."""
        return self._store.find_look(tx, project)

    @reads
    def find_standing(self, tx: Transaction, project: str) -> Standing | None:
        """What probes have found so far: whether a retrain of a project's model would help; None before the first."""
        return self._store.find_standing(tx, project)

    @logs
    def put_standing(self, tx: Transaction, standing: Standing, fence: int) -> None:
        """Keep what a probe has found.

        Raises:
            ConflictError: the lease is no longer held.
        """
        check_fence(tx, lease_name(standing.project), fence)
        self._store.put_standing(tx, standing)
        probed = standing.newest
        evidence = None if probed is None else codec.to_builtins(probed)
        ref = Ref("run", probed.run_id) if probed is not None and probed.run_id else Ref("model", standing.project)
        tx.record("loop.probed", ref, project=standing.project, evidence=evidence)

    @logs
    def forget_loss(self, tx: Transaction, project: str) -> None:
        """After a candidate that was no better: what seemed to be lost by not retraining was not."""
        standing = self._store.find_standing(tx, project)
        if standing is not None:
            self._store.put_standing(tx, msgspec.structs.replace(standing, case=standing.case.refuse()))

    @logs
    def order_probe(
        self, tx: Transaction, standing: Standing, tried: Tried, probe: Probe, until: datetime, reason: str, fence: int
    ) -> Standing:
        """Ask a worker what challengers lose, and note that it was asked.

        Args:
            standing: so far.
            tried: the rows that they are tried on.
            probe: what is tried.
            until: no challenger learns from later rows.
            reason: in plain words.
            fence: of the controller's lease.

        Raises:
            ConflictError: the lease is no longer held.
        """
        check_fence(tx, lease_name(standing.project), fence)
        run = self._pipelines.request_run.join(tx, standing.project, reason=reason, until=until, probe=probe)
        failpoints.hit("loop.before_decision")
        asked = msgspec.structs.replace(standing, run_id=run.id, tried=tried)
        self._store.put_standing(tx, asked)
        return asked

    @logs
    def hold_lease(self, tx: Transaction, project: str, holder: str, ttl_s: float) -> Lease | None:
        """Take or extend the right to decide for a project; None while another controller has it."""
        return acquire_lease(tx, lease_name(project), holder, timedelta(seconds=ttl_s))

    def _open(self, tx: Transaction, project: str, firing: Firing, fence: int, params: dict[str, Any]) -> Episode:
        known = self._store.find_open_episode(tx, check_name(project, "project"))
        if known is not None:
            raise ConflictError(
                f"episode {known.number} of {project!r} is still {known.state} (opened by {known.trigger})",
                hint=f"`penstock run --resume` goes on with it; `penstock episodes cancel {known.number}` ends it",
            )
        episode = Episode(
            id=EpisodeId(new_id(int(tx.now.timestamp() * 1000))),
            project=project,
            number=self._store.last_number(tx, project) + 1,
            trigger=firing.trigger,
            reason=firing.reason,
            alert_id=firing.alert_id,
            params=params,
            as_of=self._predictions.watermark.join(tx, project),
            started_at=tx.now,
        )
        failpoints.hit("loop.before_decision")
        self._store.insert_episode(tx, episode)
        if firing.alert_id is not None:
            tx.link(Ref("alert", firing.alert_id), episode.ref, "answered")
        self._decide(tx, episode, "open", firing.reason, {"trigger": firing.trigger, **firing.evidence}, fence)
        return episode

    def _check_fence(self, tx: Transaction, project: str, fence: int) -> None:
        if fence != PERSON:
            check_fence(tx, lease_name(project), fence)

    def _decide(
        self, tx: Transaction, episode: Episode, action: str, reason: str, evidence: dict[str, Any], fence: int
    ) -> None:
        number = self._store.count_decisions(tx, episode.id) + 1
        decision = Decision(
            episode=episode.id, number=number, action=action, reason=reason, evidence=evidence, at=tx.now, fence=fence
        )
        self._store.insert_decision(tx, decision)
        detail = {"decision": number, "reason": reason, "state": episode.state, "evidence": evidence}
        tx.record(f"loop.{action}", episode.ref, **detail)


def lease_name(project: str) -> str:
    """The lease that the one deciding controller of a project holds."""
    return f"loop/{project}"
