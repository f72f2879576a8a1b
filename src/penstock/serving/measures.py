"""What a rollout is judged by: each measure with its estimate, its confidence sequence and its bar."""

from typing import Literal

from msgspec import Struct

from penstock.core.project.types import GuardSection
from penstock.predictions.latency import BUCKETS_PER_DECADE, count_above
from penstock.predictions.types import RevisionCounts
from penstock.stats.sequential.evidence import Sums
from penstock.stats.sequential.means import difference_sequence, mean_sequence
from penstock.stats.sequential.quantiles import quantile_sequence, quantile_shift_sequence
from penstock.stats.sequential.rewards import WeighedRewards

P99 = 0.99
State = Literal["not_worse", "worse", "unknown"]


class Levels(Struct, frozen=True):
    """The levels of the two ends of a sequence: of the one that may show harm, and of the other."""

    harm: float
    good: float


class Measure(Struct, frozen=True, kw_only=True):
    """One thing by which a candidate is judged.

    Attributes:
        name: `error_rate`, `latency_p99`, `reward` or `metric`.
        beside: what it is held against: the `stable` revision, or the `guard`, which is absolute.
        scale: what `estimate`, `low`, `high` and `bar` are: the candidate's `value`, its `difference` to the stable
            revision, or its `ratio` to it.
        good: the side of the bar on which it should lie.
        bar: the margin or the guard, on that scale.
        estimate: by what was seen so far; None when nothing was.
        low: lower end of the confidence sequence; None when nothing is known.
        high: upper end, or None.
        state: `worse` when the whole sequence lies beyond the bar, `not_worse` when none of it does, else `unknown`.
        candidate: its own value; latencies are milliseconds.
        stable: that of the stable revision; None beside a guard.
        n: values of the candidate and of the stable revision.
        says: the numbers as a sentence.
        wanted: what it would be to be shown not worse.
    """

    name: str
    beside: Literal["stable", "guard"]
    scale: Literal["value", "difference", "ratio"]
    good: Literal["below", "above"] = "below"
    bar: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    state: State
    candidate: float | None = None
    stable: float | None = None
    n: tuple[int, int]
    says: str
    wanted: str

    @property
    def counts_requests(self) -> bool:
        """Whether each request is a value of it; outcomes are few, and vary more."""
        return self.name in ("error_rate", "latency_p99")

    @property
    def looks_worse(self) -> bool:
        """Whether the estimate lies beyond the bar, or there is none."""
        if self.estimate is None:
            return True
        return self.estimate > self.bar if self.good == "below" else self.estimate < self.bar


def weigh_guards(candidate: RevisionCounts, guard: GuardSection, levels: Levels) -> list[Measure]:
    """The candidate beside the bars that hold whatever the stable revision does."""
    found = []
    if guard.error_rate is not None:
        found.append(_guard_errors(candidate, guard.error_rate, levels))
    if guard.latency_p99_ms is not None:
        found.append(_guard_latency(candidate, guard.latency_p99_ms, levels))
    return found


def compare_errors(candidate: RevisionCounts, stable: RevisionCounts, margin: float, levels: Levels) -> Measure:
    """How much more often the candidate fails."""
    sums = [_failures(counts) for counts in (candidate, stable)]
    interval = difference_sequence(sums[0], sums[1], alpha_low=levels.harm, alpha_high=levels.good)
    rates = [_rate(counts) for counts in (candidate, stable)]
    return Measure(
        name="error_rate",
        beside="stable",
        scale="difference",
        bar=margin,
        estimate=_subtract(*rates),
        low=interval.low,
        high=interval.high,
        state=_place(interval.low, interval.high, margin),
        candidate=rates[0],
        stable=rates[1],
        n=(candidate.rows, stable.rows),
        says=f"{candidate.failures} of {candidate.rows} requests failed, against {stable.failures} of {stable.rows}",
        wanted=f"at most {margin:.3%} of requests more fail",
    )


def compare_latency(candidate: RevisionCounts, stable: RevisionCounts, margin: float, levels: Levels) -> Measure:
    """By what ratio the candidate is slower, at the 99th percentile; in steps of the buckets, 12 %."""
    low, high = quantile_shift_sequence(
        candidate.latency, stable.latency, P99, alpha_low=levels.harm, alpha_high=levels.good
    )
    ends = [None if shift is None else _ratio(shift) for shift in (low, high)]
    p99 = [counts.latency_ms(P99) for counts in (candidate, stable)]
    estimate = None if p99[0] is None or p99[1] is None else p99[0] / p99[1]
    return Measure(
        name="latency_p99",
        beside="stable",
        scale="ratio",
        bar=1 + margin,
        estimate=estimate,
        low=ends[0],
        high=ends[1],
        state=_place(ends[0], ends[1], 1 + margin),
        candidate=p99[0],
        stable=p99[1],
        n=(candidate.rows, stable.rows),
        says=f"99 of 100 requests took up to {_ms(p99[0])}, against {_ms(p99[1])}",
        wanted=f"a 99th percentile of at most {1 + margin:g} times that of the stable revision",
    )


def compare_means(
    name: Literal["reward", "metric"],
    candidate: Sums,
    stable: Sums,
    margin: float,
    levels: Levels,
    weighed: WeighedRewards | None = None,
) -> Measure:
    """By how much the mean of what should be high is higher; values between 0 and 1.

    Where they are weighed by chances, the difference is that of the weighed ones.
    """
    if weighed is None:
        interval = difference_sequence(candidate, stable, alpha_low=levels.good, alpha_high=levels.harm)
    else:
        interval = weighed.sequence(alpha_low=levels.good, alpha_high=levels.harm)
    means = [float(sums.mean) if sums.n else None for sums in (candidate, stable)]
    state: State = _place(-interval.high, -interval.low, margin)
    told = f"the mean {name} is {means[0]:.4g}, against {means[1]:.4g}" if None not in means else f"no {name} is known"
    if state == "worse":
        told = f"the mean {name} fell by at least {-interval.high:.4g}, and {margin:.4g} would be put up with"
    return Measure(
        name=name,
        beside="stable",
        scale="difference",
        good="above",
        bar=-margin,
        estimate=_subtract(*means) if weighed is None or not weighed.sums.n else weighed.estimate,
        low=interval.low,
        high=interval.high,
        state=state,
        candidate=means[0],
        stable=means[1],
        n=(int(candidate.n), int(stable.n)),
        says=told,
        wanted=f"a mean {name} that is at most {margin:g} lower",
    )


def _guard_errors(counts: RevisionCounts, at_most: float, levels: Levels) -> Measure:
    interval = mean_sequence(_failures(counts), alpha_low=levels.harm, alpha_high=levels.good)
    return Measure(
        name="error_rate",
        beside="guard",
        scale="value",
        bar=at_most,
        estimate=_rate(counts),
        low=interval.low,
        high=interval.high,
        state=_place(interval.low, interval.high, at_most),
        candidate=_rate(counts),
        n=(counts.rows, 0),
        says=f"{counts.failures} of {counts.rows} requests failed, and at most {at_most:.3%} may",
        wanted=f"at most {at_most:.3%} of requests fail",
    )


def _guard_latency(counts: RevisionCounts, at_most_ms: float, levels: Levels) -> Measure:
    low, high = quantile_sequence(counts.latency, P99, alpha_low=levels.harm, alpha_high=levels.good)
    p99_ms = counts.latency_ms(P99)
    # A quantile lies above the lower end of its bucket and at or below the upper one.
    ends = (None if low is None else _end_ms(low - 1), None if high is None else _end_ms(high))
    slow = count_above(counts.latency, at_most_ms)
    state = _place(None if ends[0] is None else ends[0] * (1 + 1e-9), ends[1], at_most_ms)
    return Measure(
        name="latency_p99",
        beside="guard",
        scale="value",
        bar=at_most_ms,
        estimate=p99_ms if p99_ms is None or slow > (1 - P99) * counts.rows else min(p99_ms, at_most_ms),
        low=ends[0],
        high=ends[1],
        state=state,
        candidate=p99_ms,
        n=(counts.rows, 0),
        says=f"{slow} of {counts.rows} requests took longer than {at_most_ms:g} ms, and at most 1 % may",
        wanted=f"99 of 100 requests take at most {at_most_ms:g} ms",
    )


def _place(low: float | None, high: float | None, bar: float) -> State:
    """Where a sequence stands to a bar below which it should be."""
    if low is not None and low > bar:
        return "worse"
    return "not_worse" if high is not None and high <= bar else "unknown"


def _failures(counts: RevisionCounts) -> Sums:
    return Sums(n=counts.rows, total=counts.failures)


def _rate(counts: RevisionCounts) -> float | None:
    return counts.failures / counts.rows if counts.rows else None


def _subtract(candidate: float | None, stable: float | None) -> float | None:
    return None if candidate is None or stable is None else candidate - stable


def _ratio(shift: int) -> float:
    return float(10 ** (shift / BUCKETS_PER_DECADE))


def _end_ms(bucket: int) -> float:
    return _ratio(bucket) / 1000


def _ms(latency_ms: float | None) -> str:
    return "no time known" if latency_ms is None else f"{latency_ms:.3g} ms"
