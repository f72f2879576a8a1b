"""Watches a stream of losses and says when they have risen, with a known mean time to a false alarm."""

import math
from typing import Any

import numpy as np
from msgspec import Struct, structs
from numpy.typing import ArrayLike

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray, as_sample

_LARGEST = 700.0  # the logarithm of about the largest number there is


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
        """The statistic as a share of the bar: 1 and above is an alarm; infinite where it cannot be written."""
        excess = float(_log_mean(self._state())) - math.log(self.run_length)
        return math.exp(excess) if excess < _LARGEST else math.inf

    def capped(self, *, alarmed: bool) -> "LossDetector":
        """The detector with no more evidence than makes an alarm, so that it can calm down once the loss has fallen.

        Less evidence only makes alarms rarer, so the promise is kept.

        Args:
            alarmed: it stays alarmed; otherwise it may alarm again.
        """
        most = math.log(self.run_length)
        held = tuple(None if value is None else min(value, most) for value in self.log_evidence)
        return structs.replace(self, log_evidence=held, alarm_at=self.alarm_at if alarmed else None)

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
