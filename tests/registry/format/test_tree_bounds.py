"""Model files whose trees would lead scikit-learn out of its memory are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from penstock.core.errors import CorruptDataError
from penstock.registry.format.flavors.skops_file import read_estimator

CHANCE = np.random.default_rng(3)
X = CHANCE.normal(size=(200, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(max_leaf_nodes=8),
        RandomForestClassifier(3),
        ExtraTreesRegressor(3),
        GradientBoostingClassifier(n_estimators=3),
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[3]),
        make_pipeline(StandardScaler(), RandomForestClassifier(2)),
    ],
)
def test_honest_trees_pass(model: Any) -> None:
    given = X.copy()
    given[:, 3] = CHANCE.integers(0, 5, len(X))
    model.fit(given, Y)
    assert read_estimator(skops.io.dumps(model)).predict(given).tolist() == model.predict(given).tolist()


def _far_child(nodes: Any) -> None:
    nodes["left"][0] = 10_000_000


def _circle(nodes: Any) -> None:
    nodes["right"][0] = 0


def _far_feature(nodes: Any) -> None:
    nodes["feature_idx"][0] = 4


def _far_bitset(nodes: Any) -> None:
    nodes["is_categorical"][0], nodes["bitset_idx"][0] = 1, 7


@pytest.mark.parametrize("damage", [_far_child, _circle, _far_feature, _far_bitset])
def test_boosted_trees_that_lead_astray_are_refused(damage: Callable[[Any], None]) -> None:
    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=2)).fit(X, Y)
    damage(model[-1]._predictors[1][0].nodes)
    with pytest.raises(CorruptDataError, match="decision tree"):
        read_estimator(skops.io.dumps(model))


@pytest.mark.parametrize(("name", "value"), [("children_left", 999), ("children_right", 0), ("feature", 4)])
def test_trees_that_lead_astray_are_refused(name: str, value: int) -> None:
    model = RandomForestClassifier(2).fit(X, Y)
    getattr(model.estimators_[1].tree_, name)[0] = value
    with pytest.raises(CorruptDataError, match="decision tree"):
        read_estimator(skops.io.dumps(model))
