"""Whether a rollout may go on: a pure function of what both revisions did so far, with tests that may be peeked at."""

import math
from typing import Any, Literal

from msgspec import Struct

from penstock.core.project.types import GuardSection
from penstock.predictions.latency import count_above
from penstock.predictions.types import RevisionCounts
from penstock.stats.sequential import difference_evidence, difference_sequence, excess_evidence

SLOW_SHARE = 0.01  # what a 99th percentile leaves above itself
_TESTS = 4  # that may abort; each gets its part of alpha


class RevisionStats(Struct, frozen=True, kw_only=True):
    """What one revision did since the rollout began."""

    counts: RevisionCounts
    reward_sum: float = 0.0  # of rewards in [0, 1], such as hits
    rewards: int = 0  # predictions whose reward is known
    load_problem: str = ""  # why a gateway could not load it


class Judgement(Struct, frozen=True, kw_only=True):
    """What to do with a rollout, why, and the numbers it rests on."""

    decision: Literal["hold", "advance", "abort"]
    reason: str
    evidence: dict[str, Any]


class _Finding(Struct, frozen=True, kw_only=True):
    """One test: whether it is sure of harm, whether it stands in the way for now, and its numbers."""

    name: str
    is_bad: bool
    is_open: bool = False
    says: str
    numbers: dict[str, Any]


def judge_rollout(
    candidate: RevisionStats,
    stable: RevisionStats | None,
    *,
    guard: GuardSection,
    min_requests: int,
    step_requests: int,
    margin: float = 0.0,
    min_rewards: int = 0,
    alpha: float = 0.05,
) -> Judgement:
    """Hold, advance or abort; what is not known holds.

    It may be asked as often as one likes: over the whole rollout the chance to abort a revision that does no harm is
    at most `alpha`.

    Args:
        candidate: what the new revision did since the rollout began.
        stable: what the stable revision did in the same time; None when there is none.
        guard: the bars for error rate and latency.
        min_requests: that the present step has to see.
        step_requests: of the candidate since the present step began.
        margin: the loss of mean reward that would be put up with.
        min_rewards: known rewards of either revision without which the rollout does not go on.
        alpha: see above.
    """
    if candidate.load_problem:
        return Judgement(
            decision="abort",
            reason=f"the revision cannot be loaded: {candidate.load_problem}",
            evidence={"load_problem": candidate.load_problem},
        )
    level = alpha / _TESTS
    findings = [
        *_test_errors(candidate, guard, level),
        *_test_latency(candidate, guard, level),
        *(_test_against(candidate, stable, margin, min_rewards, level) if stable else ()),
    ]
    evidence: dict[str, Any] = {finding.name: finding.numbers for finding in findings}
    evidence["requests"] = {"step": step_requests, "needed": min_requests, "all": candidate.counts.rows}
    evidence["alpha"] = alpha
    bad = [finding.says for finding in findings if finding.is_bad]
    if bad:
        return Judgement(decision="abort", reason="; ".join(bad), evidence=evidence)
    waiting = [finding.says for finding in findings if finding.is_open]
    if step_requests < min_requests:
        waiting.insert(0, f"{step_requests} of {min_requests} requests of this step were seen")
    if waiting:
        return Judgement(decision="hold", reason="; ".join(waiting), evidence=evidence)
    return Judgement(decision="advance", reason=f"{step_requests} requests, and no sign of harm", evidence=evidence)


def _test_errors(candidate: RevisionStats, guard: GuardSection, level: float) -> list[_Finding]:
    if guard.error_rate is None:
        return []
    counts = candidate.counts
    rate = counts.failures / counts.rows if counts.rows else None
    sure = _is_above(counts.failures, counts.rows, guard.error_rate, level)
    says = f"{counts.failures} of {counts.rows} requests failed, and at most {guard.error_rate:.3%} may"
    numbers = {"failures": counts.failures, "requests": counts.rows, "rate": rate, "at_most": guard.error_rate}
    above = rate is None or rate > guard.error_rate
    return [_Finding(name="errors", is_bad=sure, is_open=above, says=says, numbers=numbers)]


def _test_latency(candidate: RevisionStats, guard: GuardSection, level: float) -> list[_Finding]:
    if guard.latency_p99_ms is None:
        return []
    counts = candidate.counts
    p99_ms = counts.latency_ms(0.99)
    slow = count_above(counts.latency, guard.latency_p99_ms)
    sure = _is_above(slow, counts.rows, SLOW_SHARE, level)
    says = f"{slow} of {counts.rows} requests took longer than {guard.latency_p99_ms:g} ms, and at most 1 % may"
    numbers = {"slow": slow, "requests": counts.rows, "p99_ms": p99_ms, "at_most_ms": guard.latency_p99_ms}
    above = not counts.rows or slow > SLOW_SHARE * counts.rows
    return [_Finding(name="latency", is_bad=sure, is_open=above, says=says, numbers=numbers)]


def _test_against(
    candidate: RevisionStats, stable: RevisionStats, margin: float, min_rewards: int, level: float
) -> list[_Finding]:
    errors = _compare_errors(candidate.counts, stable.counts, level)
    return [errors, *_compare_rewards(candidate, stable, margin, min_rewards, level)]


def _compare_errors(candidate: RevisionCounts, stable: RevisionCounts, level: float) -> _Finding:
    evidence = float(difference_evidence(stable.failures, stable.rows, candidate.failures, candidate.rows))
    worse = candidate.failures * max(stable.rows, 1) > stable.failures * max(candidate.rows, 1)
    return _Finding(
        name="errors_against_stable",
        is_bad=worse and evidence >= -math.log(level),
        says=f"{candidate.failures} of {candidate.rows} requests failed, against {stable.failures} of {stable.rows}",
        numbers={
            "candidate": [candidate.failures, candidate.rows],
            "stable": [stable.failures, stable.rows],
            "log_evidence": evidence,
            "needed": -math.log(level),
        },
    )


def _compare_rewards(
    candidate: RevisionStats, stable: RevisionStats, margin: float, min_rewards: int, level: float
) -> list[_Finding]:
    known = min(candidate.rewards, stable.rewards)
    if known == 0 and min_rewards == 0:
        return []
    interval = difference_sequence(
        stable.reward_sum, stable.rewards, candidate.reward_sum, candidate.rewards, alpha=level
    )
    numbers = {
        "candidate": [candidate.reward_sum, candidate.rewards],
        "stable": [stable.reward_sum, stable.rewards],
        "low": interval.low,
        "high": interval.high,
        "margin": margin,
    }
    if interval.high < -margin:
        says = f"the mean reward fell by at least {-interval.high:.4g}, and {margin:.4g} would be put up with"
    else:
        says = f"{known} of {min_rewards} rewards are known"
    return [
        _Finding(
            name="reward",
            is_bad=interval.high < -margin,
            is_open=known < min_rewards,
            says=says,
            numbers=numbers,
        )
    ]


def _is_above(hits: int, tries: int, at_most: float, level: float) -> bool:
    """Whether a rate is surely above its bar."""
    if at_most <= 0:
        return hits > 0
    if tries == 0 or at_most >= 1:
        return False
    return float(excess_evidence(hits, tries, at_most)) >= -math.log(level)
