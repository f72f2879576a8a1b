"""The controller of one project: compares what is with what should be, and takes one step.

It remembers nothing that matters, so it can be killed at any moment; and it acts under a lease whose fencing number
every effect checks, so two controllers never both act.
"""

import contextlib
import logging

from msgspec.structs import replace

from penstock.core.errors import (
    ConflictError,
    CorruptDataError,
    InvalidInputError,
    NotFoundError,
    PenstockError,
    UnavailableError,
)
from penstock.core.project.types import TRIGGERS, Project
from penstock.loop.probing.prober import Prober
from penstock.loop.retraining.types import Standing
from penstock.loop.retraining.weighing import find_gain
from penstock.loop.rollouts import RolloutWatch
from penstock.loop.service import lease_name
from penstock.loop.sources import LoopSources
from penstock.loop.steps import EpisodeSteps
from penstock.loop.triggers import QUIET, Facts, NewData, Waiting, choose_trigger
from penstock.loop.types import Episode, Look, Seen
from penstock.monitoring.monitor import Monitor
from penstock.registry.types import CHAMPION, Alias, ModelVersion
from penstock.serving.types import Deployment, Fence, Revision, Rollout
from penstock.storage.leases import Lease, check_fence, release_lease
from penstock.storage.transaction import Transaction

log = logging.getLogger(__name__)

LEASE_S = 10.0
EPISODES = 1_000  # that cooldown and budget look back on
_LONGEST_PROBLEM = 500  # characters


class Controller:
    """Watches a project, opens episodes and takes their steps. Not safe to share between threads.

    Args:
        sources: the services, all of one database in this process, and the object store.
        project: what is to be controlled.
        holder: names this controller; no other that lives has the name.
    """

    def __init__(self, sources: LoopSources, project: Project, *, holder: str) -> None:
        self._sources = sources
        self._loop = sources.loop
        self._project = project
        self._name = project.name
        self._holder = holder
        self._monitor = Monitor(sources, project)
        self._watch = RolloutWatch(sources, project)
        self._prober = Prober(sources, project)
        self._steps = EpisodeSteps(sources, project, self._watch, self._prober)
        self._lease: Lease | None = None
        self._look: Look | None = None

    def tick(self) -> bool:
        """Work off what came in, then take at most one step; returns whether anything was done.

        Raises:
            UnavailableError: the database cannot be reached just now; try again later.
        """
        if self._hold() is None:
            return False
        seen = self._loop.read_seen()  # before looking, so that what comes in meanwhile is not taken for looked at
        watched = self._try_monitor()
        lease = self._hold()  # closing windows may have taken long
        if lease is None:
            return watched
        try:
            waiting = self._act(seen, lease.fence)
            if waiting is None:
                return True
            if not watched:
                self._write_look(seen, waiting, lease.fence)
            return watched
        except ConflictError as error:  # somebody else has the lease now, or a person acted: the next look will tell
            log.info("a step was refused", extra={"project": self._name, "reason": str(error)})
            self._lease = None
            return watched

    def _try_monitor(self) -> bool:
        """Let the monitor look; while it fails nobody is promoted and nothing started, but what is sick still goes."""
        try:
            watched = self._monitor.tick()
        except UnavailableError:
            raise
        except Exception as error:  # a segment that cannot be read must not keep a sick candidate in the traffic
            log.exception("the monitor failed, and the loop goes on without it", extra={"project": self._name})
            self._watch.doubt = f"the monitor fails: {error}"[:_LONGEST_PROBLEM]
            return False
        self._watch.doubt = ""
        return watched

    def release(self) -> None:
        """Let another controller act at once; this one would begin anew."""
        held, self._lease = self._lease, None
        if held is None:
            return
        with contextlib.suppress(PenstockError):  # then it ends by itself
            self._loop.db.write(release_lease, held.name, held.fence)

    def _hold(self) -> Lease | None:
        """The lease, extended once half of it is over; None while another controller has it."""
        now = self._loop.db.clock.now()
        held = self._lease
        if held is None or (held.expires_at - now).total_seconds() < LEASE_S / 2:
            self._lease = self._loop.hold_lease(self._name, self._holder, LEASE_S)
        return self._lease

    def _act(self, seen: Seen, fence: int) -> Waiting | None:
        alias = self._sources.registry.find_alias(self._name, CHAMPION)
        live = self._sources.serving.find_deployment(self._name)
        if self._follow_traffic(alias, live, fence):
            return None
        episode = self._loop.find_open_episode(self._name)
        rollout = self._find_rollout(live, episode)
        waiting = None if rollout is None else self._move_rollout(rollout, seen, fence)
        if rollout is not None and (waiting is None or episode is None):
            return waiting
        if episode is not None:
            return self._steps.take(episode, seen, fence)
        if self._watch.doubt:
            return Waiting("the monitor to work again", settled=False)
        found = self._try_probe(fence) if "gain" in self._project.retrain.when else Waiting(QUIET)
        if found is None:
            return None
        gain = find_gain(found, self._prober.rule) if isinstance(found, Standing) else ""
        choice = choose_trigger(self._project.retrain, self._read_facts(alias, gain))
        if isinstance(choice, Waiting):
            return found if isinstance(found, Waiting) and found.reason != QUIET else choice
        episode = self._loop.respond(self._name, choice, fence)
        log.info("episode opened", extra={"project": self._name, "number": episode.number, "reason": choice.reason})
        return None

    def _try_probe(self, fence: int) -> Standing | Waiting | None:
        """What is known of the gain of a retrain, or what is waited for; None when a step was taken."""
        try:
            return self._prober.take(fence)
        except (InvalidInputError, NotFoundError, CorruptDataError) as error:  # other reasons to act are left
            log.warning("no probe can be asked: %s", error, extra={"project": self._name})
            return Waiting(f"what keeps probes from being asked to be mended: {error}")

    def _read_facts(self, alias: Alias | None, gain: str) -> Facts:
        champion = None if alias is None else self._sources.registry.get_version(self._name, alias.version)
        watermark = self._sources.predictions.watermark(self._name)
        has_times = not set(self._project.retrain.when) <= set(TRIGGERS)
        first = self._sources.predictions.list_segments(self._name, limit=1) if has_times else []
        return Facts(
            now=watermark or self._loop.db.clock.now(),
            by_clock=watermark is None,
            has_champion=champion is not None,
            since=first[0].first_at if first else None,
            alerts=self._sources.monitoring.list_alerts(self._name, "open"),
            gain=gain,
            new_data=self._find_new_data(champion) if champion else [],
            episodes=self._loop.list_episodes(self._name, limit=EPISODES),
        )

    def _find_new_data(self, champion: ModelVersion) -> list[NewData]:
        """The tables of which there is a newer version than the champion was trained on."""
        if "new_data" not in self._project.retrain.when or champion.run_id is None:
            return []
        found = []
        for ref in self._sources.tracking.get_run(champion.run_id).inputs:
            name, _, number = ref.id.rpartition("/")
            latest = self._sources.datasets.find_latest(name) if ref.kind == "dataset-version" else None
            if latest is not None and latest.version > int(number):
                read = self._sources.datasets.get_version(name, int(number))
                found.append(NewData(latest.ref.id, latest.rows, read.rows))
        return found

    def _follow_traffic(self, alias: Alias | None, live: Deployment | None, fence: int) -> bool:
        """After a rollback, or a release by hand, the champion is what answers."""
        stable = None if live is None else live.stable
        if alias is None or stable is None or stable.version == alias.version:
            return False
        reason = _find_succession(alias, stable, self._sources.serving.list_revisions(self._name))
        if not reason:
            return False

        def work(tx: Transaction) -> None:
            check_fence(tx, lease_name(self._name), fence)
            if self._sources.serving.find_deployment.join(tx, self._name) != live:
                raise ConflictError(f"deployment {self._name!r} has changed since it was read")
            rests_on = (str(stable.ref),)
            self._sources.registry.move_alias.join(tx, self._name, CHAMPION, stable.version, reason, rests_on)

        self._loop.db.write(work)
        return True

    def _find_rollout(self, live: Deployment | None, episode: Episode | None) -> Rollout | None:
        """The rollout that runs and that no episode looks after: a person started it."""
        if live is None or live.rollout is None or (episode is not None and episode.rollout_id == live.rollout):
            return None
        return self._sources.serving.get_rollout(live.rollout)

    def _move_rollout(self, rollout: Rollout, seen: Seen, fence: int) -> Waiting | None:
        """Judge a rollout by the same rules as those of episodes."""
        judgement = self._watch.judge(rollout, seen)
        held, serving = Fence(lease_name(self._name), fence), self._sources.serving
        if judgement.decision == "hold":
            return Waiting(f"rollout {rollout.place}: {judgement.reason}")
        if judgement.decision == "advance":
            serving.advance(rollout.id, held, judgement.evidence, judgement.reason, rollout.step)
        else:
            serving.abort(rollout.id, judgement.reason, held, judgement.evidence)
        return None

    def _write_look(self, seen: Seen, waiting: Waiting, fence: int) -> None:
        """Say that there is nothing to do, once for each thing there is to say."""
        look = Look(
            project=self._name,
            seen=seen,
            settled=waiting.settled and not self._watch.doubt,
            waiting_for=waiting.reason,
            problem=self._watch.doubt,
            at=self._loop.db.clock.now(),
        )
        if self._look is None or replace(self._look, at=look.at) != look:
            self._loop.record_look(look, fence)
            self._look = look


def _find_succession(champion: Alias, stable: Revision, revisions: list[Revision]) -> str:
    """Why what answers is the champion now, in place of another version; empty where a person wants that one to be."""
    newest = next((held for held in revisions if held.version == champion.version), None)
    if newest is None:
        return ""
    was_chosen_since = newest.state == "aborted" and champion.moved_at > newest.created_at  # by a person
    if newest.state in ("rolled_back", "aborted") and not was_chosen_since:
        return f"version {champion.version} was {newest.state.replace('_', ' ')}"
    if newest.state == "replaced" and stable.created_at > champion.moved_at:
        return f"version {stable.version} was released by hand"
    return ""
