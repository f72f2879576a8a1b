"""Whether a rollout may go on: a pure function of what both revisions did so far, with tests that may be peeked at."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from penstock.core.project.types import Decide, GuardSection, MarginsSection
from penstock.predictions.types import RevisionCounts
from penstock.serving.measures import Levels, Measure, compare_errors, compare_latency, compare_means, weigh_guards
from penstock.stats.sequential.evidence import Sums
from penstock.stats.sequential.rewards import WeighedRewards


class RevisionStats(Struct, frozen=True, kw_only=True):
    """What one revision did since the rollout began.

    `rewards` and `metric` add up values between 0 and 1, more being better; None where none are to be had at all.
    """

    counts: RevisionCounts
    rewards: Sums | None = None  # such as hits, one a customer
    metric: Sums | None = None  # of the metric that is watched, or of pairs of scores
    load_problem: str = ""  # why a gateway could not load it


class Judgement(Struct, frozen=True, kw_only=True):
    """What to do with a rollout, why, and the numbers it rests on."""

    decision: Literal["hold", "advance", "abort"]
    reason: str
    evidence: dict[str, Any]


class Needs(Struct, frozen=True, kw_only=True):
    """What a rollout has to show before it goes on.

    Attributes:
        guard: bars that hold whatever the stable revision does.
        margins: by how much the candidate may be worse than the stable revision.
        decide: `evidence`: each measure has to be shown not worse; `no_harm`: none must be shown worse.
        requests: that the present step has to see.
        rewards: known rewards of either revision, and values of the metric, without which the rollout does not go on.
    """

    guard: GuardSection = GuardSection()
    margins: MarginsSection = MarginsSection()
    decide: Decide = "no_harm"
    requests: int = 200
    rewards: int = 0


def judge_rollout(
    candidate: RevisionStats,
    stable: RevisionStats | None,
    needs: Needs,
    *,
    step_requests: int,
    problems: Sequence[str] = (),
    weighed: Mapping[str, WeighedRewards] = {},
    alpha: float = 0.05,
) -> Judgement:
    """Hold, advance or abort; what is not known holds.

    It may be asked as often as one likes. Over a whole rollout the chance to abort a revision that is no worse than
    the margins and guards allow is at most `alpha`, which is divided among all that may abort. The chance to promote
    by `evidence` one that is worse than a margin allows is at most `alpha` too; that is not divided, as all measures
    have to agree. The requests of both need not be independent, as long as what is hard for one is not easy for the
    other: copies in the shadow are of the same requests.

    Args:
        candidate: what the new revision did since the rollout began.
        stable: what the stable revision did in the same time; None when there is none to compare with.
        needs: see there.
        step_requests: of the candidate since the present step began.
        problems: why what is known may be wrong or old; it does not go on while there is one.
        weighed: `reward` and `metric` of both, weighed by chances; where the shares of traffic change meanwhile they
            are compared by these.
        alpha: see above.
    """
    if candidate.load_problem:
        return Judgement(
            decision="abort",
            reason=f"the revision cannot be loaded: {candidate.load_problem}",
            evidence={"load_problem": candidate.load_problem},
        )
    measures = _measure(candidate, stable, needs, weighed, alpha)
    evidence = {
        "measures": msgspec.to_builtins(measures),
        "requests": {"step": step_requests, "needed": needs.requests, "all": candidate.counts.rows},
        "decide": needs.decide,
        "alpha": alpha,
    }
    worse = [measure.says for measure in measures if measure.state == "worse"]
    if worse:
        return Judgement(decision="abort", reason="; ".join(worse), evidence=evidence)
    waiting = [*problems, *_list_missing(candidate, stable, needs, step_requests)]
    waiting += [_tell_doubt(measure, needs.decide) for measure in measures if _is_in_doubt(measure, needs.decide)]
    if waiting:
        return Judgement(decision="hold", reason="; ".join(waiting), evidence=evidence)
    return Judgement(decision="advance", reason=_praise(measures, step_requests), evidence=evidence)


def _measure(
    candidate: RevisionStats,
    stable: RevisionStats | None,
    needs: Needs,
    weighed: Mapping[str, WeighedRewards],
    alpha: float,
) -> list[Measure]:
    guard, margins = needs.guard, needs.margins
    bars = [guard.error_rate, guard.latency_p99_ms]
    if stable is not None:
        rewards, metric = _pair(candidate.rewards, stable.rewards), _pair(candidate.metric, stable.metric)
        bars += [
            margins.error_rate,
            margins.latency_p99,
            margins.reward if rewards else None,
            margins.metric if metric else None,
        ]
    # Known before the first request: how many tests there are must not depend on what they say.
    levels = Levels(harm=alpha / max(1, sum(bar is not None for bar in bars)), good=alpha)
    found = weigh_guards(candidate.counts, guard, levels)
    if stable is None:
        return found
    found.append(compare_errors(candidate.counts, stable.counts, margins.error_rate, levels))
    if margins.latency_p99 is not None:
        found.append(compare_latency(candidate.counts, stable.counts, margins.latency_p99, levels))
    if rewards and margins.reward is not None:
        found.append(compare_means("reward", *rewards, margins.reward, levels, weighed.get("reward")))
    if metric and margins.metric is not None:
        found.append(compare_means("metric", *metric, margins.metric, levels, weighed.get("metric")))
    return found


def _pair(candidate: Sums | None, stable: Sums | None) -> tuple[Sums, Sums] | None:
    return None if candidate is None or stable is None else (candidate, stable)


def _list_missing(
    candidate: RevisionStats, stable: RevisionStats | None, needs: Needs, step_requests: int
) -> list[str]:
    """What has to be seen at all, whatever it says."""
    missing = []
    if step_requests < needs.requests:
        missing.append(f"{step_requests} of {needs.requests} requests of this step were seen")
    elif not candidate.counts.rows:
        missing.append("no request to the candidate was seen")
    if stable is None:
        return missing
    if not stable.counts.rows:
        missing.append("the stable revision has answered nothing since the rollout began")
    for name, pair in (
        ("rewards", _pair(candidate.rewards, stable.rewards)),
        ("values of the metric", _pair(candidate.metric, stable.metric)),
    ):
        known = min(pair[0].n, pair[1].n) if pair else needs.rewards
        if known < needs.rewards:
            missing.append(f"{known} of {needs.rewards} {name} are known")
    return missing


def _is_in_doubt(measure: Measure, decide: Decide) -> bool:
    """Whether what is known so far does not suffice to go on."""
    if measure.state != "unknown":
        return False
    if decide == "evidence" and measure.beside == "stable":
        return True
    return measure.counts_requests and measure.looks_worse


def _tell_doubt(measure: Measure, decide: Decide) -> str:
    if decide == "evidence" and measure.beside == "stable":
        return f"not shown yet: {measure.wanted}"
    return measure.says


def _praise(measures: Sequence[Measure], step_requests: int) -> str:
    shown = [measure.wanted for measure in measures if measure.state == "not_worse"]
    told = f"{step_requests} requests, and no sign of harm"
    return f"{told}; shown: {', '.join(shown)}" if shown else told
