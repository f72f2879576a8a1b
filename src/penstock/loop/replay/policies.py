"""The usual policies of retraining, each as it is used: what ours is compared with."""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.loop.replay.live import Deployed, Moment
from penstock.loop.replay.probing import Loop
from penstock.stats.drift import ks_test
from penstock.stats.intervals import mean_interval
from penstock.stats.sequential.detector import LossDetector, watch_loss

GROWING_CAP = 20_000  # rows that "all rows" means at most, so that the cost of a fit stays bounded
_EVERY = 5  # chunks from one scheduled retrain to the next
_ALPHA = 0.01  # of the test of the inputs, over all columns
_REFERENCE_CHUNKS = 2  # from whose errors the bar of the detector comes, as in monitoring
_REFERENCE_ROWS = 100
_NEWEST_TRAINED = 5_000  # rows the champion learned from that inputs are compared with


class Policy(Protocol):
    """Decides at the start of each chunk, from the second on."""

    def act(self, moment: Moment) -> Deployed | None:
        """Another model that answers from here on, or None to leave things as they are."""
        ...


class Static:
    """Never retrains."""

    def act(self, moment: Moment) -> Deployed | None:
        """Nothing."""
        return None


class Sliding:
    """Retrains at each chunk on the last rows, as many as there were in the warm-up."""

    def act(self, moment: Moment) -> Deployed | None:
        """A new model."""
        return moment.fit(moment.last(moment.history.warmup), "last window")


class Growing:
    """Retrains at each chunk on all rows there are, 20,000 at most."""

    def act(self, moment: Moment) -> Deployed | None:
        """A new model."""
        return moment.fit(moment.last(GROWING_CAP), "all rows")


class Scheduled:
    """Retrains at every fifth chunk on the last window."""

    def act(self, moment: Moment) -> Deployed | None:
        """A new model when it is time."""
        return moment.fit(moment.last(moment.history.warmup), "last window") if moment.chunk % _EVERY == 0 else None


class ErrorTriggered:
    """Retrains on the last window when the e-detector says that the champion's errors have risen.

    The first chunks of each champion give the bar; a false alarm is to be expected once in the whole history.
    """

    def __init__(self) -> None:
        self._detector: LossDetector | None = None
        self._read = 0  # rows before this one are worked off
        self._reference: list[float] = []

    def act(self, moment: Moment) -> Deployed | None:
        """A new model at an alarm."""
        rows = slice(max(self._read, moment.history.start(moment.champion.since)), moment.known)
        if rows.stop <= rows.start:
            return None
        self._read = rows.stop
        errors = moment.errors(rows)
        if self._detector is None:
            self._reference += errors.tolist()
            if len(self._reference) >= max(_REFERENCE_ROWS, _REFERENCE_CHUNKS * moment.history.chunk):
                self._detector = _watch(np.array(self._reference), len(moment.history))
            return None
        self._detector = self._detector.update(errors)
        if not self._detector.alarmed:
            return None
        self._detector, self._reference = None, []
        return moment.fit(moment.last(moment.history.warmup), "last window, as errors had risen")


class InputTriggered:
    """Retrains on the last window when any column has moved: a Kolmogorov-Smirnov test each, level 0.01 over all.

    The champion's own rows are the reference. It needs no outcome, which is why most monitors offer it.
    """

    def act(self, moment: Moment) -> Deployed | None:
        """A new model when a column moved."""
        history = moment.history
        now = history.features[history.start(moment.chunk - 1) : history.start(moment.chunk)]
        before = history.features[moment.champion.rows[-_NEWEST_TRAINED:]]
        numbers = [place for place, is_category in enumerate(history.is_category) if not is_category]
        level = _ALPHA / max(len(numbers), 1)
        moved = next((at for at in numbers if ks_test(before[:, at], now[:, at], alpha=level).drifted), None)
        if moved is None:
            return None
        return moment.fit(moment.last(history.warmup), f"last window, as {history.names[moved]} had moved")


POLICIES: Mapping[str, Callable[[], Policy]] = {
    "static": Static,
    "sliding": Sliding,
    "growing": Growing,
    "scheduled": Scheduled,
    "errors": ErrorTriggered,
    "inputs": InputTriggered,
    "loop": Loop,
}


def make_policy(name: str) -> Policy:
    """A policy by its name, which has seen nothing yet.

    Raises:
        InvalidInputError: there is no such policy.
    """
    if name not in POLICIES:
        raise InvalidInputError(f"there is no policy {name!r}", hint=nearest_hint(name, POLICIES), field="policy")
    return POLICIES[name]()


def _watch(reference: np.ndarray[tuple[int], np.dtype[np.float64]], rows: int) -> LossDetector:
    high = mean_interval(np.append(reference, 1.0), confidence=1 - 2 / math.sqrt(rows)).high
    return watch_loss(float(np.clip(high, 1e-6, 1 - 1e-6)), run_length=max(rows, 2))
