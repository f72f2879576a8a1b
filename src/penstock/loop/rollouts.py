"""Reads what both revisions of a rollout did since it began, and asks the judge whether it may go on."""

import numpy as np
import polars as pl

from penstock.core.project.types import Project
from penstock.loop.sources import LoopSources
from penstock.loop.types import Seen
from penstock.monitoring.performance import group_losses, read_labelled_rows
from penstock.monitoring.reading import PredictionReader
from penstock.predictions.types import RevisionCounts
from penstock.serving.judge import Judgement, RevisionStats, judge_rollout
from penstock.serving.types import Rollout
from penstock.stats.arrays import FloatArray

# Customers whose feedback is known, of either revision: enough to see that feedback arrives at all. How much is needed
# to call a revision worse is the judge's own question.
MIN_REWARDS = 30
BOUNDED = ("binary", "multiclass", "ranking")  # tasks whose losses lie in 0 to 1 as they are


class RolloutWatch:
    """Judges the rollouts of one deployment; remembers its last answer, as nothing new gives nothing new."""

    def __init__(self, sources: LoopSources, project: Project) -> None:
        self._sources = sources
        self._project = project
        self._reader = PredictionReader(sources.predictions, sources.objects, project.name)
        self._last: tuple[object, Judgement] | None = None

    def judge(self, rollout: Rollout, seen: Seen) -> Judgement:
        """Hold, advance or abort, with the numbers."""
        problem = self._find_load_problem(rollout)
        asked = (rollout.id, rollout.step, seen.segments, seen.outcomes, problem)
        if self._last is None or self._last[0] != asked:
            self._last = (asked, self._judge(rollout, problem))
        return self._last[1]

    def _judge(self, rollout: Rollout, problem: str) -> Judgement:
        predictions = self._sources.predictions
        whole = predictions.get_traffic(rollout.deployment, received_since=rollout.started_at).revisions
        step = predictions.get_traffic(rollout.deployment, received_since=rollout.step_started_at).revisions
        rewards = self._read_rewards(rollout)
        baseline = None if rollout.baseline is None else _stats(whole, rollout.baseline, rewards)
        return judge_rollout(
            _stats(whole, rollout.revision, rewards, problem),
            baseline,
            guard=rollout.guard,
            min_requests=rollout.min_requests,
            step_requests=_counts(step, rollout.revision).rows,
            min_rewards=MIN_REWARDS if self._project.monitor.performance else 0,
        )

    def _find_load_problem(self, rollout: Rollout) -> str:
        for gateway in self._sources.serving.list_gateways():
            for failure in gateway.failures:
                if (failure.deployment, failure.revision) == (rollout.deployment, rollout.revision):
                    return failure.problem
        return ""

    def _read_rewards(self, rollout: Rollout) -> dict[int, FloatArray]:
        """Rewards in 0 to 1 by revision, one per customer; nothing where no performance is watched."""
        watched, task = self._project.monitor.performance, self._project.task
        if watched is None:
            return {}
        rows = self._reader.read_rows(self._reader.list_segments(received_since=rollout.started_at))
        losses = {}
        for revision in self._sources.serving.list_revisions(rollout.deployment):
            if revision.number in (rollout.revision, rollout.baseline):
                own = rows.filter(pl.col("revision") == revision.number)
                model = self._sources.registry.get_version(revision.model, revision.version)
                labelled = read_labelled_rows(task, own, model.classes)
                losses[revision.number] = group_losses(task, watched.metric, labelled)
        scale = 1.0 if task in BOUNDED else _scale(losses)
        return {number: 1.0 - np.minimum(found / scale, 1.0) for number, found in losses.items()}


def _stats(
    counts: list[RevisionCounts], revision: int, rewards: dict[int, FloatArray], problem: str = ""
) -> RevisionStats:
    known = rewards.get(revision, np.zeros(0))
    known = known[~np.isnan(known)]
    return RevisionStats(
        counts=_counts(counts, revision), reward_sum=float(known.sum()), rewards=len(known), load_problem=problem
    )


def _counts(counts: list[RevisionCounts], revision: int) -> RevisionCounts:
    return next((held for held in counts if held.revision == revision), RevisionCounts(revision=revision))


def _scale(losses: dict[int, FloatArray]) -> float:
    """What counts as a total loss: an error that only one row in a hundred exceeds."""
    together = np.concatenate(list(losses.values())) if losses else np.zeros(0)
    return float(np.quantile(together, 0.99)) or 1.0 if len(together) else 1.0
