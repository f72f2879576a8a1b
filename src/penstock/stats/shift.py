"""Why a mean loss has risen: do other rows come, or do the same rows turn out otherwise?"""

import math
from typing import Any

import numpy as np
from msgspec import Struct
from scipy import special

from penstock.stats.arrays import BoolArray, FloatArray, IntArray
from penstock.stats.intervals import mean_error

FOLDS = 5
LARGEST_WEIGHT = 20.0  # of a row; beyond that single rows would decide
BEYOND_DOUBT = 3.0  # standard errors


class Sample(Struct, frozen=True):
    """Rows with their losses.

    Attributes:
        features: shape (n, d); NaN where a value is missing.
        losses: shape (n,).
        keys: code of what rows have in common, shape (n,).
    """

    features: FloatArray
    losses: FloatArray
    keys: IntArray


class Shift(Struct, frozen=True):
    """A rise split in two.

    Attributes:
        inputs: what the rise would be if only other rows came.
        relation: the rest: what the same rows lose more.
        inputs_error: standard error.
        relation_error: standard error.
        auc: of a classifier that tells the two samples apart.
        weights: of each reference row, how much more such rows there are now; shape (n,), 1 on average.
        covered: share of the rows of now that the reference has any like of, about.
        surplus: loss of each row of now beyond what such rows lost in the reference; shape (m,).
    """

    inputs: float
    relation: float
    inputs_error: float
    relation_error: float
    auc: float
    weights: FloatArray
    covered: float
    surplus: FloatArray

    @property
    def overlap(self) -> float:
        """The effective share of the reference that is like the rows of now."""
        spread = float(self.weights.sum() ** 2 / (self.weights**2).sum() / len(self.weights))
        return spread * min(self.covered, 1.0)


def split_rise(reference: Sample, now: Sample, is_category: BoolArray, *, seed: int = 0) -> Shift:
    """Split the rise of the mean loss from `reference` to `now`.

    With w the density ratio of the inputs and g the loss that rows of the reference are expected to have, both learned
    on other folds, E_ref[w l] is estimated as mean_now[g] + mean_ref[w (l - g)]: right if either w or g is.

    Args:
        reference: rows of a time when all was well.
        now: rows of the time in question.
        is_category: which features hold codes of categories; shape (d,).
        seed: the same seed gives the same answer.

    Source: the doubly robust form for covariate shift; the weights as in Sugiyama, Suzuki and Kanamori 2012, clipped.
    """
    weights, covered, auc = _weigh(reference, now, is_category, seed)
    known, expected = _learn_losses(reference, now, is_category, seed)
    rest = weights * (reference.losses - known)
    inputs = float(expected.mean() + rest.mean() - reference.losses.mean())
    surplus = now.losses - expected
    return Shift(
        inputs,
        float(surplus.mean() - rest.mean()),
        math.hypot(_error(expected, now.keys), _error(rest - reference.losses, reference.keys)),
        math.hypot(_error(surplus, now.keys), _error(rest, reference.keys)),
        auc,
        weights,
        covered,
        surplus,
    )


def _weigh(reference: Sample, now: Sample, is_category: BoolArray, seed: int) -> tuple[FloatArray, float, float]:
    """How much more often rows like each reference row come now; all 1 where the two cannot be told apart."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # a second: only where a cause is looked for

    features = np.vstack([reference.features, now.features])
    is_now = np.append(np.zeros(len(reference.losses)), np.ones(len(now.losses)))
    folds = np.append(_cut(reference.keys, seed), _cut(now.keys, seed + 1))
    chance = np.empty(len(features))
    for fold in range(FOLDS):
        inside = folds == fold
        model = HistGradientBoostingClassifier(**_settings(is_category, seed)).fit(features[~inside], is_now[~inside])
        chance[inside] = model.predict_proba(features[inside])[:, 1]
    before = chance[is_now == 0]
    n, m = len(before), len(features) - len(before)
    ranks = np.argsort(np.argsort(chance, kind="stable"), kind="stable") + 1.0
    auc = float((ranks[is_now == 1].sum() - m * (m + 1) / 2) / (n * m))
    if auc < 0.5 + BEYOND_DOUBT * math.sqrt((n + m + 1) / (12 * n * m)):
        return np.ones(n), 1.0, auc
    odds = np.clip(before / np.maximum(1 - before, 1e-9) * n / m, 0.0, LARGEST_WEIGHT)
    return odds / odds.mean(), float(odds.mean()), auc  # 1 on average where the reference has it all


def _learn_losses(reference: Sample, now: Sample, is_category: BoolArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """What reference rows are expected to lose by models of other rows, and what rows of now are."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    folds, known, expected = _cut(reference.keys, seed), np.empty(len(reference.losses)), np.zeros(len(now.losses))
    for fold in range(FOLDS):
        inside = folds == fold
        model: Any = HistGradientBoostingRegressor(**_settings(is_category, seed))
        model.fit(reference.features[~inside], reference.losses[~inside])
        known[inside] = model.predict(reference.features[inside])
        expected += model.predict(now.features) / FOLDS
    return known, expected


def _settings(is_category: BoolArray, seed: int) -> dict[str, Any]:
    return {
        "max_iter": 40,
        "learning_rate": 0.1,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 30,
        "l2_regularization": 1.0,
        "categorical_features": is_category if is_category.any() else None,
        "early_stopping": False,
        "random_state": seed,
    }


def _cut(keys: IntArray, seed: int) -> IntArray:
    """The fold of each row; rows of one key are in one fold."""
    count = int(keys.max(initial=-1)) + 1
    return np.asarray(np.random.default_rng(seed).permutation(count)[keys] % FOLDS, dtype=np.int64)


def _error(values: FloatArray, keys: IntArray) -> float:
    return mean_error(values, keys)[0]


def reweigh(bins: IntArray, bins_now: IntArray, losses: FloatArray) -> tuple[float, float]:
    """What the move of one column by itself does to the mean loss, with its standard error.

    Args:
        bins: of each reference row, as 0, 1, 2 ...
        bins_now: of each row of now.
        losses: of the reference rows.
    """
    count = int(max(bins.max(initial=0), bins_now.max(initial=0))) + 1
    before, after = (np.bincount(held, minlength=count) / len(held) for held in (bins, bins_now))
    ratio = np.divide(after, before, out=np.zeros(count), where=before > 0)
    weights = np.minimum(ratio, LARGEST_WEIGHT)[bins]
    weights = weights / weights.mean() if weights.any() else np.ones(len(bins))
    there = float((weights * losses).mean())
    change = weights * (losses - there) - (losses - losses.mean())
    return there - float(losses.mean()), float(change.std()) / math.sqrt(len(losses))


def contrast(values: FloatArray, inside: BoolArray) -> tuple[float, float, float]:
    """By how much the mean is higher inside than outside, its standard error, and the p-value of being no higher."""
    here, there = values[inside], values[~inside]
    if len(here) < 2 or len(there) < 2:
        return 0.0, math.inf, 1.0
    error = math.sqrt(here.var(ddof=1) / len(here) + there.var(ddof=1) / len(there))
    rise = float(here.mean() - there.mean())
    return rise, error, float(special.ndtr(-rise / error)) if error > 0 else 1.0
