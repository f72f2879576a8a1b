"""When to open an episode by itself: a pure function of the policy and of what is known now.

Times are event times, so the policy means the same on live traffic and on a replayed history; only as long as there was
no traffic at all the clock stands in for them.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct

from penstock.core.clock import format_duration
from penstock.core.cron import read_cron
from penstock.core.ids import AlertId
from penstock.core.project.types import MODEL_TRIGGERS, TRIGGERS, RetrainSection
from penstock.loop.types import Episode, Trigger
from penstock.monitoring.types import Alert
from penstock.pipelines.types import PipelineRun
from penstock.tracking.types import RunStatus

QUIET = "new traffic, outcomes or data"


class NewData(Struct, frozen=True):
    """How much data there is now, against what the champion was trained on."""

    dataset: str  # name/version of the newest
    rows: int
    rows_seen: int  # by the champion


class Facts(Struct, frozen=True, kw_only=True):
    """What the policy looks at."""

    now: datetime  # event time; that of the clock before there was any traffic
    by_clock: bool = False  # it is that of the clock
    has_champion: bool
    since: datetime | None = None  # event time of the first request; before there was any, None
    alerts: list[Alert] = []  # open ones
    gain: str = ""  # why a retrain is worth it, as probes have found; empty where it is not, or nobody knows
    new_data: list[NewData] = []  # the tables that are ahead of the champion
    episodes: list[Episode] = []  # of this project, newest first


class Firing(Struct, frozen=True, kw_only=True):
    """An episode is to be opened."""

    trigger: Trigger
    reason: str
    alert_id: AlertId | None = None
    evidence: dict[str, Any] = {}


class Waiting(Struct, frozen=True):
    """Nothing is to be done just now, and what would change that.

    Attributes:
        reason: what is waited for, in plain words.
        settled: only new traffic, outcomes or data, or a person, will change it; nothing of ours is at work.
    """

    reason: str
    settled: bool = True


def wait_for_run(run: PipelineRun) -> Waiting:
    """For a run that has not ended."""
    doing = "a worker to take up" if run.status is RunStatus.SCHEDULED else "the end of"
    return Waiting(f"{doing} {'run' if run.probe is None else 'probe'} {run.id}", settled=False)


def choose_trigger(policy: RetrainSection, facts: Facts) -> Firing | Waiting:
    """Open an episode, or wait: the gravest of the reasons that the policy names and that hold.

    An alert that comes from a fault of the data opens none: training on broken rows mends nothing.

    A refused or failed episode counts for cooldown and budget like any other, so a source that always alarms, or data
    that are always bad, cannot make the loop run away.
    """
    if not facts.has_champion:
        return Waiting("the first release: `penstock run` trains and releases it")
    firing = _find_reason(policy, facts)
    if firing is None:
        fault = next((alert for alert in facts.alerts if alert.is_data_fault), None)
        return Waiting(QUIET if fault is None else f"the data to be mended: {fault.summary}")
    held = _find_brake(policy, facts)
    return firing if held is None else Waiting(f"{held} (then: {firing.reason})")


def _find_reason(policy: RetrainSection, facts: Facts) -> Firing | None:
    for kind in MODEL_TRIGGERS:
        for alert in facts.alerts:
            if kind in policy.when and alert.kind == kind and not alert.is_data_fault:
                evidence = {"alert": alert.id, "window_start": alert.window_start, **alert.evidence}
                return Firing(trigger=kind, reason=alert.summary, alert_id=alert.id, evidence=evidence)
    if "gain" in policy.when and facts.gain:
        return Firing(trigger="gain", reason=facts.gain)
    return _find_new_data(policy, facts) or _find_schedule(policy, facts)


def _find_new_data(policy: RetrainSection, facts: Facts) -> Firing | None:
    for data in facts.new_data if "new_data" in policy.when else ():
        added = data.rows - data.rows_seen
        if data.rows_seen > 0 and added >= policy.new_rows * data.rows_seen:
            reason = (
                f"{data.dataset} has {data.rows:,} rows, {added / data.rows_seen:.0%} more than the champion was "
                f"trained on (the policy asks for {policy.new_rows:.0%})"
            )
            evidence = {"dataset": data.dataset, "rows": data.rows, "rows_seen": data.rows_seen}
            return Firing(trigger="new_data", reason=reason, evidence=evidence)
    return None


def _find_schedule(policy: RetrainSection, facts: Facts) -> Firing | None:
    """A time that has come since the last episode began; before the first, since there is traffic."""
    begun = [at for episode in facts.episodes if (at := _begun(episode, facts)) is not None]
    last = max(begun, default=facts.since)
    for line in policy.when:
        due = read_cron(line).find_last(facts.now) if line not in TRIGGERS else None
        if due is not None and last is not None and due > last:
            reason = f"it is time: {line!r} came at {due:%Y-%m-%d %H:%M}"
            return Firing(trigger="schedule", reason=reason, evidence={"due": due, "last": last})
    return None


def _find_brake(policy: RetrainSection, facts: Facts) -> str | None:
    ended = [at for episode in facts.episodes if (at := _ended(episode, facts)) is not None]
    if ended and facts.now < max(ended) + policy.cooldown:
        until = max(ended) + policy.cooldown
        return f"the cooldown of {format_duration(policy.cooldown)} to pass at {until:%Y-%m-%d %H:%M}"
    budget = policy.budget
    spent = find_spent(policy, facts)
    if len(spent) >= budget.count:
        oldest = min(spent, default=facts.now)
        return (
            f"the retraining budget ({budget.count:g} per {format_duration(budget.per)}) is spent until "
            f"{oldest + budget.per:%Y-%m-%d %H:%M}"
        )
    return None


def find_spent(policy: RetrainSection, facts: Facts) -> list[datetime]:
    """When the episodes began that the retraining budget counts now."""
    begun = [_begun(episode, facts) for episode in facts.episodes if episode.trigger != "manual"]
    return [at for at in begun if at is not None and at > facts.now - policy.budget.per]


def _begun(episode: Episode, facts: Facts) -> datetime | None:
    return episode.started_at if facts.by_clock else episode.as_of


def _ended(episode: Episode, facts: Facts) -> datetime | None:
    return episode.ended_at if facts.by_clock else episode.ended_as_of
