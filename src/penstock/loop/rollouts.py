"""Reads what both revisions of a rollout did since it began, and asks the judge whether it may go on."""

import logging
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from msgspec.structs import replace

from penstock.core.errors import PenstockError
from penstock.core.project.types import Project
from penstock.loop.agreement import measure_agreement
from penstock.loop.rollout_outcomes import Outcomes, add_up_outcomes
from penstock.loop.sources import LoopSources
from penstock.loop.types import Seen
from penstock.monitoring.maturity import read_absence_by_window
from penstock.monitoring.reading import PredictionReader
from penstock.monitoring.service import MAXIMUM_PAGE
from penstock.monitoring.types import Window
from penstock.monitoring.windows import window_start
from penstock.predictions.types import RevisionCounts
from penstock.serving.judge import Judgement, Needs, RevisionStats, judge_rollout
from penstock.serving.reporting import MEASURED_EVERY
from penstock.serving.types import Rollout

log = logging.getLogger(__name__)

# Customers whose feedback is known, of either revision: enough to see that feedback arrives at all. How much is needed
# to call a revision worse is the judge's own question.
MIN_REWARDS = 30
STALE_AFTER = timedelta(days=1)  # without a request to either revision, what was seen may no longer hold
ALPHA = 0.05  # chance to abort a revision that is not worse


class RolloutWatch:
    """Judges the rollouts of one deployment; remembers its last answer, as nothing new gives nothing new."""

    def __init__(self, sources: LoopSources, project: Project) -> None:
        self._sources = sources
        self._project = project
        self._reader = PredictionReader(sources.predictions, sources.objects, project.name, project.outcomes)
        self.doubt = ""  # why nothing may be promoted now, whatever else is seen; set by whoever looks before
        self._last: tuple[object, Judgement] | None = None
        self._noted: tuple[str, datetime] | None = None  # when the measures of which rollout were kept last

    def judge(self, rollout: Rollout, seen: Seen) -> Judgement:
        """Hold, advance or abort, with the numbers."""
        problem = self._find_load_problem(rollout)
        asked = (rollout.id, rollout.step, seen.segments, seen.outcomes, problem, self.doubt)
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        outcomes, agreement = self._try_outcomes(rollout)
        judgement = self._judge(rollout, problem, outcomes)
        if agreement:
            judgement = replace(judgement, evidence={**judgement.evidence, "agreement": agreement})
        self._last = None if outcomes.problem else (asked, judgement)  # it may be read next time
        self._note(rollout, judgement)
        return judgement

    def _note(self, rollout: Rollout, judgement: Judgement) -> None:
        """Keep what was seen for the pages, now and then."""
        now = self._sources.loop.db.clock.now()
        if self._noted is not None and self._noted[0] == rollout.id and now - self._noted[1] < MEASURED_EVERY:
            return
        self._noted = (rollout.id, now)
        self._sources.serving.note_measures(rollout.id, judgement.decision, judgement.reason, judgement.evidence)

    def _judge(self, rollout: Rollout, load_problem: str, outcomes: Outcomes) -> Judgement:
        predictions, shadow = self._sources.predictions, rollout.is_in_shadow
        since = rollout.exposed_at or rollout.started_at
        whole = predictions.get_traffic(rollout.deployment, received_since=since)
        step = predictions.get_traffic(rollout.deployment, received_since=rollout.step_started_at)

        def stats(revision: int, counts: list[RevisionCounts], problem: str = "") -> RevisionStats:
            return RevisionStats(
                counts=_counts(counts, revision),
                rewards=outcomes.rewards.get(revision),
                metric=outcomes.metric.get(revision),
                load_problem=problem,
            )

        # With all of the traffic from the first step on, there is nothing beside it.
        is_alone = rollout.baseline is None or rollout.steps[0] >= 1
        own, own_step = (whole.shadows, step.shadows) if shadow else (whole.revisions, step.revisions)
        return judge_rollout(
            stats(rollout.revision, own, load_problem),
            None if is_alone or rollout.baseline is None else stats(rollout.baseline, whole.revisions),
            Needs(
                guard=rollout.guard,
                margins=rollout.margins,
                decide=rollout.decide,
                requests=rollout.min_requests,
                rewards=MIN_REWARDS if self._project.monitor.performance else 0,
            ),
            step_requests=_counts(own_step, rollout.revision).rows,
            problems=list(filter(None, (self.doubt, outcomes.problem, self._find_staleness(rollout)))),
            weighed=outcomes.weighed,
            # What was seen in the shadow and what comes after it are judged apart.
            alpha=ALPHA / 2 if rollout.steps[0] == 0 and len(rollout.steps) > 1 else ALPHA,
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

    def _try_outcomes(self, rollout: Rollout) -> tuple[Outcomes, dict[str, Any]]:
        """What outcomes say; and in the shadow, how often both revisions say the same."""
        try:
            return self._read_outcomes(rollout)
        except (PenstockError, OSError, ArithmeticError, LookupError, ValueError, pl.exceptions.PolarsError) as error:
            log.warning("outcomes of a rollout cannot be read", extra={"rollout": rollout.id, "error": repr(error)})
            return Outcomes(problem=f"the outcomes cannot be read: {error}"), {}

    def _read_outcomes(self, rollout: Rollout) -> tuple[Outcomes, dict[str, Any]]:
        watched, task, shadow = self._project.monitor.performance, self._project.task, rollout.is_in_shadow
        if watched is None and not shadow:
            return Outcomes(), {}
        segments = self._reader.list_segments(received_since=rollout.exposed_at or rollout.started_at)
        rows = self._reader.read_rows(segments, with_copies=shadow)
        agreement = measure_agreement(task, rows) if shadow else {}
        if watched is None:
            return Outcomes(), agreement
        classes = {
            revision.number: self._sources.registry.get_version(revision.model, revision.version).classes
            for revision in self._sources.serving.list_revisions(rollout.deployment)
            if revision.number in (rollout.revision, rollout.baseline)
        }
        if task == "binary" and rows.height and any(classes.values()):
            negative = next(held[0] for held in classes.values() if held)
            rows = read_absence_by_window(rows, self._project.outcomes, self._list_windows(rows), negative)
        return add_up_outcomes(rollout, task, watched.metric, rows, classes), agreement

    def _list_windows(self, rows: pl.DataFrame) -> list[Window]:
        """The windows that predictions lie in, as far as they are closed."""
        first = rows["at"].min()
        assert isinstance(first, datetime)
        since = window_start(first, self._project.monitor.window) - timedelta(microseconds=1)
        return self._sources.monitoring.list_windows(self._project.name, after=since, limit=MAXIMUM_PAGE)


def _counts(counts: list[RevisionCounts], revision: int) -> RevisionCounts:
    return next((held for held in counts if held.revision == revision), RevisionCounts(revision=revision))
