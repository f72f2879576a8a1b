"""Checks the nodes of decision trees: scikit-learn follows their numbers without looking, out of memory if need be."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree._tree import Tree

from penstock.core.errors import CorruptDataError

_DEPTH_LIMIT = 50  # of objects within objects


def check_trees(model: object) -> None:
    """Let a model pass whose trees stay within their bounds and come to an end.

    Raises:
        CorruptDataError: a node points to a node or feature that is not there, or back to where it came from.
    """
    for tree, features in _find_trees(model, 0, 0, set()):
        is_sound = _is_sound_tree(tree, features) if isinstance(tree, Tree) else _is_sound_predictor(tree, features)
        if not is_sound:
            raise CorruptDataError("a decision tree in the model file points outside its nodes or features")


def _find_trees(value: Any, features: int, depth: int, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Every tree in a model, with the number of features of the estimator around it."""
    if depth > _DEPTH_LIMIT:
        raise CorruptDataError(f"the objects in the model file are nested more than {_DEPTH_LIMIT} deep")
    if isinstance(value, (Tree, TreePredictor)):
        yield value, features
        return
    if id(value) in seen or isinstance(value, (str, bytes, type)):
        return
    seen.add(id(value))
    features = getattr(value, "n_features_in_", features) if hasattr(value, "__dict__") else features
    for part in _parts(value):
        yield from _find_trees(part, features, depth + 1, seen)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype.hasobject):
        yield from np.ravel(value) if isinstance(value, np.ndarray) else value
    elif hasattr(value, "__dict__"):
        yield from vars(value).values()


def _is_sound_tree(tree: Any, features: int) -> bool:
    inner = tree.children_left != -1
    if tree.n_features > features:
        return False
    ends_well = np.array_equal(tree.children_right == -1, ~inner)
    return ends_well and _are_sound(inner, tree.children_left, tree.children_right, tree.feature, tree.n_features)


def _is_sound_predictor(tree: Any, features: int) -> bool:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    by_category = inner & (nodes["is_categorical"] != 0)
    sets = min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))
    if (nodes["bitset_idx"][by_category] >= sets).any():
        return False
    return _are_sound(inner, nodes["left"], nodes["right"], nodes["feature_idx"], features)


def _are_sound(
    inner: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], features: int
) -> bool:
    """Whether children come behind their parents and within the tree, and features are among those of the model."""
    count, own = len(inner), np.flatnonzero(inner)
    children = np.stack([left[own], right[own]]).astype(np.int64)
    used = feature[own].astype(np.int64)
    is_within = count > 0 and bool(((children > own) & (children < count)).all())
    return is_within and bool(((used >= 0) & (used < features)).all())
