"""Tests that may be looked at after every row: confidence sequences, e-values, and a detector of rising loss.

An *e-value* is evidence against a hypothesis: under it, the chance that the e-value of a growing sample *ever* reaches
1 / alpha is at most alpha. A *confidence sequence* is a row of intervals that hold the truth all at once with
confidence 1 - alpha. Neither needs a sample size fixed beforehand, so there is no peeking problem.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy import special

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray, as_sample, check_level
from penstock.stats.intervals import Interval

_PRIOR = 0.5  # Jeffreys: Beta(1/2, 1/2)
_STEPS = 60  # halvings of a bisection; beyond double precision


def spend_level(alpha: float, t: int) -> float:
    """The level for the t-th of endlessly many tests, t = 1, 2 ...; all of them together spend alpha.

    alpha_t = 6 alpha / (pi t)^2, valid under any dependence of the tests.
    """
    if t < 1:
        raise InvalidInputError(f"there is no test number {t}", hint="count from 1")
    return 6.0 * check_level(alpha) / (math.pi * t) ** 2


def rate_evidence(successes: ArrayLike, n: ArrayLike, rate: ArrayLike) -> Any:
    """Log e-value against a rate (or mean of values in [0, 1]) being exactly `rate`.

    Args:
        successes: how many of n, or the sum of n values in [0, 1].
        n: tries so far.
        rate: the hypothesis, strictly between 0 and 1; all three broadcast.

    Source: Robbins 1970; the likelihood ratio of a Beta(1/2, 1/2) mixture. For values in [0, 1] convexity makes it a
    supermartingale as well, so that sums of rewards will do.
    """
    hits, tries, null = (np.asarray(value, dtype=np.float64) for value in (successes, n, rate))
    return _log_mixture(hits, tries) - special.xlogy(hits, null) - special.xlog1py(tries - hits, -null)


def rate_sequence(successes: float, n: float, *, alpha: float = 0.05) -> Interval:
    """Confidence sequence of a rate, or of the mean of values in [0, 1], from counts alone.

    Args:
        successes: how many of n, or the sum of n values in [0, 1].
        n: tries so far, in whatever order they came.
        alpha: chance that the truth ever lies outside.
    """
    _check_counts(successes, n)
    bar = -math.log(check_level(alpha))
    if n == 0:
        return Interval(0.0, 1.0)
    rate = successes / n

    def holds(null: float) -> bool:
        return bool(rate_evidence(successes, n, null) < bar)

    return Interval(_edge(holds, rate, 0.0), _edge(holds, rate, 1.0))


def excess_evidence(successes: ArrayLike, n: ArrayLike, at_most: float) -> Any:
    """Log e-value against a rate (or mean in [0, 1]) of `at_most` or less: is it higher?

    Args:
        successes: how many of n, or the sum of n values in [0, 1].
        n: tries so far; both broadcast.
        at_most: the rate that is still well, strictly between 0 and 1.

    Source: as `rate_evidence`, with the mixture restricted to rates above the bar.
    """
    if not 0 < at_most < 1:
        raise InvalidInputError(f"a rate of {at_most} cannot be tested", hint="give one above 0 and below 1")
    hits, tries = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    above = special.betaincc(_PRIOR + hits, _PRIOR + tries - hits, at_most)
    prior = special.betaincc(_PRIOR, _PRIOR, at_most)
    with np.errstate(divide="ignore"):
        return rate_evidence(hits, tries, at_most) + np.log(above) - np.log(prior)


def difference_evidence(a: ArrayLike, n_a: ArrayLike, b: ArrayLike, n_b: ArrayLike) -> Any:
    """Log e-value against two rates being the same, whatever that rate is.

    Args:
        a: successes (or sum of values in [0, 1]) of the first arm.
        n_a: its tries.
        b: successes of the second arm.
        n_b: its tries; all broadcast. Arms may be filled in any order and proportion.

    Source: the product of both mixture martingales at the most favourable common rate, which is the pooled one;
    compare Turner, Ly and Grünwald 2024 (Generic e-variables for exact sequential k-sample tests).
    """
    first, tries, second, others = (np.asarray(value, dtype=np.float64) for value in (a, n_a, b, n_b))
    hits, total = first + second, tries + others
    pooled = np.divide(hits, total, out=np.full(np.shape(hits * total), 0.5), where=total > 0)
    likelihood = special.xlogy(hits, pooled) + special.xlog1py(total - hits, -pooled)
    return _log_mixture(first, tries) + _log_mixture(second, others) - likelihood


def difference_sequence(a: float, n_a: float, b: float, n_b: float, *, alpha: float = 0.05) -> Interval:
    """Confidence sequence of (rate of b) - (rate of a), from counts alone; half of alpha goes to each arm.

    Args:
        a: successes (or sum of values in [0, 1]) of the first arm.
        n_a: its tries.
        b: successes of the second arm.
        n_b: its tries. Arms may be filled in any order and proportion.
        alpha: chance that the truth ever lies outside.
    """
    return subtract(rate_sequence(b, n_b, alpha=alpha / 2), rate_sequence(a, n_a, alpha=alpha / 2))


def subtract(b: Interval, a: Interval) -> Interval:
    """All differences b - a of two intervals; when each holds with 1 - alpha / 2, this holds with 1 - alpha."""
    return Interval(b.low - a.high, b.high - a.low)


class MeanSequence(Struct, frozen=True, kw_only=True):
    """Confidence sequence of the mean of bounded values that also profits from a small variance; resumable.

    Start with `MeanSequence(alpha=...)`, then `sequence = sequence.update(values)`: the state after a row does not
    depend on how the rows were cut into updates. `interval` holds the mean at all times with confidence 1 - alpha.

    Source: the predictable plug-in empirical-Bernstein sequence of Waudby-Smith and Ramdas 2024, theorem 2.
    """

    alpha: float = 0.05
    lower: float = 0.0  # bounds of the values
    upper: float = 1.0
    n: int = 0
    total: float = 0.0  # of values scaled to [0, 1]
    squares: float = 0.0  # of their distances to the running mean
    bets: float = 0.0
    bet_total: float = 0.0
    cost: float = 0.0
    low: float = 0.0  # scaled to [0, 1]
    high: float = 1.0

    @property
    def interval(self) -> Interval:
        """Where the mean is, in the units of the values."""
        width = self.upper - self.lower
        return Interval(self.lower + width * self.low, self.lower + width * self.high)

    def update(self, values: ArrayLike) -> "MeanSequence":
        """The sequence after more values, shape (k,), in the order they came.

        Raises:
            InvalidInputError: a value lies outside the bounds, or is NaN.
        """
        if not np.size(values):
            return self
        x = (as_sample(values, "values") - self.lower) / (self.upper - self.lower)
        if x.min() < 0 or x.max() > 1:
            raise InvalidInputError(f"a value lies outside {self.lower} to {self.upper}", field="values")
        t = self.n + np.arange(1, len(x) + 1)
        totals = self.total + np.cumsum(x)
        means = (0.5 + totals) / (t + 1)
        squares = self.squares + np.cumsum((x - means) ** 2)
        means_before = np.concatenate([[(0.5 + self.total) / (self.n + 1)], means[:-1]])
        spread_before = (0.25 + np.concatenate([[self.squares], squares[:-1]])) / t
        chance = math.log(2 / check_level(self.alpha))
        bet = np.minimum(np.sqrt(2 * chance / (spread_before * t * np.log1p(t))), 0.5)
        bets = self.bets + np.cumsum(bet)
        bet_totals = self.bet_total + np.cumsum(bet * x)
        costs = self.cost + np.cumsum((x - means_before) ** 2 * (-np.log1p(-bet) - bet))
        centre, half = bet_totals / bets, (chance + costs) / bets
        return MeanSequence(
            alpha=self.alpha,
            lower=self.lower,
            upper=self.upper,
            n=int(t[-1]),
            total=float(totals[-1]),
            squares=float(squares[-1]),
            bets=float(bets[-1]),
            bet_total=float(bet_totals[-1]),
            cost=float(costs[-1]),
            low=max(self.low, float((centre - half).max())),
            high=min(self.high, float((centre + half).min())),
        )


class LossDetector(Struct, frozen=True, kw_only=True):
    """Watches losses in [0, 1] for a mean above `tolerated`; a mixture of Shiryaev-Roberts e-detectors; resumable.

    While the conditional mean loss stays at or below `tolerated`, the mean number of rows to a false alarm is at least
    `run_length`. Start with `watch_loss(...)`, then `detector = detector.update(losses)`; the state after a row does
    not depend on how the rows were cut into updates. After an alarm it stays alarmed; start a new one.

    Attributes:
        tolerated: the mean loss that is still well: the reference loss plus a tolerance.
        run_length: mean rows between false alarms that is promised.
        n: rows seen.
        log_evidence: log of each bet's statistic; minus infinity is written as None.
        alarm_at: the row of the alarm, counted from 1; None while there is none.

    Source: Shin, Ramdas and Rinaldo 2024, E-detectors; bets as in Waudby-Smith and Ramdas 2024.
    """

    tolerated: float
    run_length: float
    n: int = 0
    log_evidence: tuple[float | None, ...] = (None,) * 8
    alarm_at: int | None = None

    @property
    def alarmed(self) -> bool:
        """Whether the loss has risen."""
        return self.alarm_at is not None

    @property
    def evidence(self) -> float:
        """The statistic as a share of the bar: 1 and above is an alarm."""
        return float(np.exp(_log_mean(self._state()) - math.log(self.run_length)))

    def update(self, losses: ArrayLike) -> "LossDetector":
        """The detector after more rows, shape (k,), in the order they came.

        Raises:
            InvalidInputError: a loss lies outside 0 to 1, or is NaN.
        """
        if not np.size(losses):
            return self
        x = as_sample(losses, "losses")
        if x.min() < 0 or x.max() > 1:
            raise InvalidInputError("a loss lies outside 0 to 1", hint="scale it by its bound", field="losses")
        # R_t = (1 + R_{t-1}) f_t, so R_t = F_t (R_0 + sum of 1 / F_s for s < t) with F the product of the factors f.
        product = np.cumsum(np.log1p(_bets(self.tolerated)[:, None] * (x - self.tolerated)), axis=1)
        terms = np.concatenate([np.logaddexp(self._state(), 0.0)[:, None], -product[:, :-1]], axis=1)
        path = product + np.logaddexp.accumulate(terms, axis=1)
        crossed = np.flatnonzero(_log_mean(path) >= math.log(self.run_length))
        alarm_at = self.alarm_at
        if alarm_at is None and len(crossed):
            alarm_at = self.n + int(crossed[0]) + 1
        return LossDetector(
            tolerated=self.tolerated,
            run_length=self.run_length,
            n=self.n + len(x),
            log_evidence=tuple(float(value) for value in path[:, -1]),
            alarm_at=alarm_at,
        )

    def _state(self) -> FloatArray:
        return np.array([-np.inf if value is None else value for value in self.log_evidence])


def watch_loss(tolerated: float, *, run_length: float) -> LossDetector:
    """A detector that has seen nothing yet.

    Args:
        tolerated: mean loss that is still well, strictly between 0 and 1.
        run_length: mean rows to a false alarm, at least this many; in the operator's own units.

    Raises:
        InvalidInputError: either cannot be.
    """
    if not 0 < tolerated < 1:
        raise InvalidInputError(f"a tolerated loss of {tolerated} cannot be watched", hint="scale losses to 0 to 1")
    if not run_length > 1:
        raise InvalidInputError(f"a run length of {run_length} makes no sense", hint="give rows between false alarms")
    return LossDetector(tolerated=tolerated, run_length=run_length)


def _bets(tolerated: float) -> FloatArray:
    """Each is best against one size of rise: all of the way to a loss of 1 (but for a hair), half, a quarter ..."""
    rises = (1 - tolerated) * 0.98 * 0.5 ** np.arange(8)
    return np.asarray(rises / (tolerated * (1 - tolerated)), dtype=np.float64)


def _log_mean(values: FloatArray) -> Any:
    return np.logaddexp.reduce(values, axis=0) - math.log(len(values))


def _log_mixture(hits: FloatArray, tries: FloatArray) -> Any:
    return special.betaln(_PRIOR + hits, _PRIOR + tries - hits) - special.betaln(_PRIOR, _PRIOR)


def _edge(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where `holds` ends between a value inside and the bound outside, on the outer side of it."""
    good, bad = inside, outside
    if good == bad:
        return bad
    for _ in range(_STEPS):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return bad


def _check_counts(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise InvalidInputError(f"a sum of {successes} from {n} values between 0 and 1 cannot be")
