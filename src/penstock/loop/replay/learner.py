"""What the policies of a replay learn with: the same gradient-boosted trees for all; every fit is counted and timed."""

import time
from typing import Any

import numpy as np
from msgspec import Struct
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from penstock.loop.replay.history import History
from penstock.stats.arrays import FloatArray, IntArray

_MANY_CLASSES = 5  # from here on a fit makes a tree per class and iteration, so half as many iterations do
_PROBE_BINS = 32


class Model(Struct, frozen=True):
    """What a fit made.

    Attributes:
        fitted: gives probabilities, or numbers; None where the rows had one class only.
        classes: the codes that it knows.
        width: how many classes there are; 0 for numbers.
    """

    fitted: Any
    classes: IntArray
    width: int

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities of shape (n, classes), or numbers of shape (n,)."""
        if not self.width:
            return np.asarray(self.fitted.predict(features), dtype=np.float64)
        found = np.zeros((len(features), self.width))
        found[:, self.classes] = 1.0 if self.fitted is None else self.fitted.predict_proba(features)
        return found


class Learner:
    """Fits models of one history, and keeps count.

    Attributes:
        fits: how many there were, the first one and all probes included.
        cpu_s: CPU time that they took, seconds.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._iterations = 30 if len(history.classes) >= _MANY_CLASSES else 60
        self._coarse = _coarse_bins(history)
        self.fits = 0
        self.cpu_s = 0.0

    def fit(self, rows: IntArray) -> Model:
        """A full model of some rows, given by their numbers."""
        return self._fit(rows, {"max_iter": self._iterations, "learning_rate": 0.15})

    def probe(self, rows: IntArray) -> Model:
        """A cheap model of some rows: a sixth of the iterations, in longer steps, on coarser values."""
        return self._fit(rows, {"max_iter": self._iterations // 6, "learning_rate": 0.5, "max_bins": self._coarse})

    def _fit(self, rows: IntArray, settings: dict[str, Any]) -> Model:
        history = self._history
        labels = history.labels[rows]
        classes = np.unique(labels).astype(np.int64) if history.classes else np.zeros(0, dtype=np.int64)
        begun = time.process_time()
        fitted = None  # one class only: nothing to fit
        if len(classes) != 1:
            fitted = self._estimator(settings).fit(history.features[rows], labels)
        self.fits += 1
        self.cpu_s += time.process_time() - begun
        return Model(fitted, classes, len(history.classes))

    def _estimator(self, settings: dict[str, Any]) -> Any:
        made = HistGradientBoostingClassifier if self._history.classes else HistGradientBoostingRegressor
        mask = self._history.is_category
        return made(
            **settings,
            early_stopping=False,
            random_state=0,
            categorical_features=list(mask) if any(mask) else None,
        )


def _coarse_bins(history: History) -> int:
    """How many bins a probe sorts values into: few, but one for each code of a category."""
    codes = history.features[:, np.array(history.is_category)]
    most = int(np.nanmax(codes)) + 1 if codes.size and not np.isnan(codes).all() else 0
    return min(max(_PROBE_BINS, most), 255)
