"""Boosted regression trees as plain arrays: they can be kept and read back, and hold no row that they learned from."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penstock.stats.arrays import BoolArray, FloatArray

CODES = 256  # of a category: 0 to 254; the last one stands for a missing value
_LEAF = -1


class BoostedTrees(Struct, frozen=True, eq=False):
    """What a regressor learned. Nodes of all trees stand one after the other.

    Attributes:
        start: what every tree adds to.
        roots: node of the root of each tree, shape (t,).
        features: column that a node asks for, -1 in a leaf; shape (n,), as all below.
        thresholds: of numbers: those up to it go left.
        is_missing_left: whether a missing number goes left.
        left: node.
        right: node.
        values: of leaves.
        groups: of categories: row of `codes_left`; -1 of numbers.
        codes_left: which codes go left, shape (g, 256).
    """

    start: float
    roots: NDArray[np.int32]
    features: NDArray[np.int32]
    thresholds: FloatArray
    is_missing_left: BoolArray
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    values: FloatArray
    groups: NDArray[np.int32]
    codes_left: BoolArray

    def predict(self, features: FloatArray) -> FloatArray:
        """The value of rows of shape (n, d); NaN where a value is missing."""
        total = np.full(len(features), self.start)
        for root in self.roots.tolist():
            total += self._read(root, features)
        return total

    def _read(self, node: int, features: FloatArray) -> Any:
        if self.features[node] == _LEAF:
            return self.values[node]
        left, right = (self._read(int(side[node]), features) for side in (self.left, self.right))
        return np.where(self._goes_left(node, features[:, self.features[node]]), left, right)

    def _goes_left(self, node: int, column: FloatArray) -> BoolArray:
        if self.groups[node] >= 0:
            codes = np.nan_to_num(column, nan=CODES - 1).astype(np.int64)
            return np.asarray(self.codes_left[self.groups[node]][codes])
        is_above = column > self.thresholds[node]
        goes_left = ~is_above if self.is_missing_left[node] else ~is_above & ~np.isnan(column)
        return np.asarray(goes_left)


def read_trees(model: Any, is_category: BoolArray) -> BoostedTrees:
    """The trees of a fitted `HistGradientBoostingRegressor`; they give what it predicts.

    Args:
        model: learned from codes 0 to 254 of categories, and numbers.
        is_category: which columns hold codes, shape (d,).
    """
    # scikit-learn puts the columns of categories first, and numbers the codes that it has seen.
    columns = np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)])
    seen = model._preprocessor.named_transformers_["encoder"].categories_ if is_category.any() else []
    parts, codes_left, roots, first = [], list[BoolArray](), [], 0
    for (tree,) in model._predictors:
        nodes = tree.nodes
        groups = np.full(len(nodes), -1)
        for number in np.flatnonzero(nodes["is_categorical"]):
            known = seen[nodes["feature_idx"][number]]
            bits = tree.raw_left_cat_bitsets[nodes["bitset_idx"][number]]
            groups[number] = len(codes_left)
            codes_left.append(_read_codes(known, bits, bool(nodes["missing_go_to_left"][number])))
        is_leaf = nodes["is_leaf"].astype(bool)
        asked = np.where(is_leaf, _LEAF, columns[np.where(is_leaf, 0, nodes["feature_idx"])])
        parts.append((nodes, asked, groups, first))
        roots.append(first)
        first += len(nodes)
    return BoostedTrees(
        start=float(np.asarray(model._baseline_prediction).ravel()[0]),
        roots=np.array(roots, dtype=np.int32),
        features=_join([asked for _, asked, _, _ in parts], np.int32),
        thresholds=_join([nodes["num_threshold"] for nodes, _, _, _ in parts], np.float64),
        is_missing_left=_join([nodes["missing_go_to_left"] for nodes, _, _, _ in parts], np.bool_),
        left=_join([nodes["left"].astype(np.int64) + at for nodes, _, _, at in parts], np.int32),
        right=_join([nodes["right"].astype(np.int64) + at for nodes, _, _, at in parts], np.int32),
        values=_join([nodes["value"] for nodes, _, _, _ in parts], np.float64),
        groups=_join([groups for _, _, groups, _ in parts], np.int32),
        codes_left=np.array(codes_left, dtype=np.bool_).reshape(-1, CODES),
    )


def _read_codes(known: FloatArray, bits: NDArray[np.uint32], is_missing_left: bool) -> BoolArray:
    """Of each code whether it goes left; one that was not seen goes where a missing value does."""
    goes_left = np.full(CODES, is_missing_left)
    for place, code in enumerate(known):
        if not np.isnan(code):
            goes_left[int(code)] = bool(bits[place // 32] >> np.uint32(place % 32) & np.uint32(1))
    return goes_left


def pack_trees(models: Sequence[BoostedTrees], **more: float) -> bytes:
    """Several models and some numbers as an `.npz` file; the same ones give the same bytes."""
    arrays: dict[str, Any] = {name: np.float64(value) for name, value in more.items()}
    for number, model in enumerate(models):
        arrays |= {f"{number}.{name}": np.asarray(getattr(model, name)) for name in model.__struct_fields__}
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_trees(data: bytes) -> tuple[list[BoostedTrees], dict[str, float]]:
    """The models and the numbers that `pack_trees` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    more = {name: float(value) for name, value in held.items() if "." not in name}
    count = len({name.partition(".")[0] for name in held} - more.keys())
    models = []
    for number in range(count):
        fields = {name: held[f"{number}.{name}"] for name in BoostedTrees.__struct_fields__}
        models.append(BoostedTrees(**{**fields, "start": float(fields["start"])}))
    return models, more


def _join(parts: Sequence[Any], kind: Any) -> Any:
    return np.concatenate(parts).astype(kind)
