"""Reads what both revisions of a rollout did since it began, and asks the judge whether it may go on."""

import logging
from datetime import timedelta

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.errors import PenstockError
from penstock.core.project.types import Project
from penstock.loop.sources import LoopSources
from penstock.loop.types import Seen
from penstock.monitoring.performance import bounded_values, group_losses, read_labelled_rows
from penstock.monitoring.reading import PredictionReader
from penstock.predictions.types import RevisionCounts
from penstock.serving.judge import Judgement, Needs, RevisionStats, judge_rollout
from penstock.serving.types import Rollout
from penstock.stats.arrays import FloatArray
from penstock.stats.sequential.evidence import Sums, add_up

log = logging.getLogger(__name__)

# Customers whose feedback is known, of either revision: enough to see that feedback arrives at all. How much is needed
# to call a revision worse is the judge's own question.
MIN_REWARDS = 30
STALE_AFTER = timedelta(days=1)  # without a request to either revision, what was seen may no longer hold
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
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        outcomes = self._try_outcomes(rollout)
        judgement = self._judge(rollout, problem, outcomes)
        self._last = None if outcomes.problem else (asked, judgement)  # it may be read next time
        return judgement

    def _judge(self, rollout: Rollout, load_problem: str, outcomes: "_Outcomes") -> Judgement:
        predictions, deploy = self._sources.predictions, self._project.deploy
        whole = predictions.get_traffic(rollout.deployment, received_since=rollout.started_at).revisions
        step = predictions.get_traffic(rollout.deployment, received_since=rollout.step_started_at).revisions

        def stats(revision: int, problem: str = "") -> RevisionStats:
            return RevisionStats(
                counts=_counts(whole, revision),
                rewards=outcomes.rewards.get(revision),
                metric=outcomes.metric.get(revision),
                load_problem=problem,
            )

        # With all of the traffic from the first step on, there is nothing beside it.
        is_alone = rollout.baseline is None or rollout.steps[0] >= 1
        return judge_rollout(
            stats(rollout.revision, load_problem),
            None if is_alone or rollout.baseline is None else stats(rollout.baseline),
            Needs(
                guard=rollout.guard,
                margins=deploy.margins,
                decide=deploy.decide,
                requests=rollout.min_requests,
                rewards=MIN_REWARDS if self._project.monitor.performance else 0,
            ),
            step_requests=_counts(step, rollout.revision).rows,
            problems=[problem for problem in (outcomes.problem, self._find_staleness(rollout)) if problem],
        )

    def _find_staleness(self, rollout: Rollout) -> str:
        """Why what was seen may no longer hold; empty where it does."""
        since = self._sources.loop.db.clock.now() - STALE_AFTER
        if rollout.step_started_at > since:
            return ""
        if self._sources.predictions.list_segments(rollout.deployment, received_since=since, limit=1):
            return ""
        return f"no request came for {STALE_AFTER.total_seconds() / 3600:.0f} hours, and what was seen is old"

    def _find_load_problem(self, rollout: Rollout) -> str:
        for gateway in self._sources.serving.list_gateways():
            for failure in gateway.failures:
                if (failure.deployment, failure.revision) == (rollout.deployment, rollout.revision):
                    return failure.problem
        return ""

    def _try_outcomes(self, rollout: Rollout) -> "_Outcomes":
        try:
            return self._read_outcomes(rollout)
        except (PenstockError, OSError, ArithmeticError, LookupError, ValueError, pl.exceptions.PolarsError) as error:
            log.warning("outcomes of a rollout cannot be read", extra={"rollout": rollout.id, "error": repr(error)})
            return _Outcomes(problem=f"the outcomes cannot be read: {error}")

    def _read_outcomes(self, rollout: Rollout) -> "_Outcomes":
        """What outcomes say of both revisions; nothing where no performance is watched."""
        watched, task = self._project.monitor.performance, self._project.task
        if watched is None:
            return _Outcomes()
        rows = self._reader.read_rows(self._reader.list_segments(received_since=rollout.started_at))
        losses, metric = {}, {}
        for revision in self._sources.serving.list_revisions(rollout.deployment):
            if revision.number in (rollout.revision, rollout.baseline):
                own = rows.filter(pl.col("revision") == revision.number)
                classes = self._sources.registry.get_version(revision.model, revision.version).classes
                losses[revision.number] = group_losses(task, watched.metric, read_labelled_rows(task, own, classes))
                if self._project.deploy.margins.metric is not None:
                    # Pairs of rows have to stay pairs when more outcomes come.
                    labelled = read_labelled_rows(task, own, classes, order=("outcome_at", "id"))
                    metric[revision.number] = add_up(bounded_values(watched.metric, labelled))
        scale = 1.0 if task in BOUNDED else _scale(losses)
        return _Outcomes({number: _add_up_rewards(found / scale) for number, found in losses.items()}, metric)


class _Outcomes(Struct, frozen=True):
    """Sums of what is known, by revision; empty where none are to be had."""

    rewards: dict[int, Sums] = {}
    metric: dict[int, Sums] = {}
    problem: str = ""  # why they could not be read


def _add_up_rewards(losses: FloatArray) -> Sums:
    return add_up(1.0 - np.minimum(losses[~np.isnan(losses)], 1.0))


def _counts(counts: list[RevisionCounts], revision: int) -> RevisionCounts:
    return next((held for held in counts if held.revision == revision), RevisionCounts(revision=revision))


def _scale(losses: dict[int, FloatArray]) -> float:
    """What counts as a total loss: an error that only one row in a hundred exceeds."""
    together = np.concatenate(list(losses.values())) if losses else np.zeros(0)
    return float(np.quantile(together, 0.99)) or 1.0 if len(together) else 1.0
