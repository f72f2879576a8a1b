"""The value a metric of numbers is going to have, from a model of the loss itself: where are errors large?

Source: direct loss estimation, as NannyML has it; here with what the estimate may be off by.
"""

import math

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import BoolArray, FloatArray, IntArray
from penstock.stats.boosted_trees import BoostedTrees, pack_trees, read_trees, unpack_trees
from penstock.stats.expected import Expectation
from penstock.stats.metrics import Metric

FOLDS = 5
_TINY = 1e-12
_STEP = 1e-4


class LossModel(Struct, frozen=True):
    """What a row is expected to add to a metric.

    Attributes:
        models: of the loss, which hold no row; the first learned from all rows, each other from all but one fold.
        variation: standard deviation of a loss as a share of what is expected of it, on rows not learned from.
    """

    models: list[BoostedTrees]
    variation: float

    def expect(self, metric: Metric, features: FloatArray, *, keys: IntArray) -> Expectation:
        """The expected value of the metric it was learned for, on rows of shape (n, d); keys as in `expect`."""
        n = len(features)
        losses = [np.maximum(model.predict(features), 0.0) for model in self.models]
        values = [_combine(metric, held) for held in losses]
        slope = (_combine(metric, losses[0] * (1 + _STEP)) - values[0]) / (_STEP * max(float(losses[0].mean()), _TINY))
        spread = math.sqrt(n / (int(keys.max(initial=-1)) + 1)) * slope / math.sqrt(n)
        outcomes = self.variation * math.sqrt(float((losses[0] ** 2).mean()))
        left_out = np.array(values[1:])
        learned = math.sqrt((FOLDS - 1) / FOLDS * float(((left_out - left_out.mean()) ** 2).sum()))
        return Expectation(values[0], outcomes * spread, float(losses[0].std()) * spread, learned)


def learn_loss(features: FloatArray, losses: FloatArray, is_category: BoolArray, *, seed: int = 0) -> LossModel:
    """Learn where errors are large.

    Args:
        features: shape (n, d); NaN where a value is missing.
        losses: shape (n,), not negative.
        is_category: which of the columns hold codes of categories, 0 to 254; shape (d,).
        seed: the same seed gives the same model.
    """
    fold = np.random.default_rng(seed).permutation(len(losses)) % FOLDS
    folds = [_learn(features[fold != at], losses[fold != at], is_category, seed) for at in range(FOLDS)]
    unseen = np.empty(len(losses))
    for at, model in enumerate(folds):
        unseen[fold == at] = np.maximum(model.predict(features[fold == at]), 0.0)
    variation = math.sqrt(float(((losses - unseen) ** 2).mean()) / max(float((unseen**2).mean()), _TINY))
    return LossModel([_learn(features, losses, is_category, seed), *folds], variation)


def pack_losses(model: LossModel) -> bytes:
    """A model as bytes; the same one gives the same bytes."""
    return pack_trees(model.models, variation=model.variation)


def unpack_losses(data: bytes) -> LossModel:
    """The model that `pack_losses` wrote."""
    models, more = unpack_trees(data)
    return LossModel(models, more["variation"])


def _learn(features: FloatArray, losses: FloatArray, is_category: BoolArray, seed: int) -> BoostedTrees:
    from sklearn.ensemble import HistGradientBoostingRegressor  # a second: only where numbers are estimated

    learner = HistGradientBoostingRegressor(
        max_iter=60,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        categorical_features=is_category if is_category.any() else None,
        early_stopping=False,
        random_state=seed,
    )
    return read_trees(learner.fit(features, losses), is_category)


def _combine(metric: Metric, losses: FloatArray) -> float:
    return float(metric.combine(losses[:, None], np.ones((1, len(losses))))[0])
