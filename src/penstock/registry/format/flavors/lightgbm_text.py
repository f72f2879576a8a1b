"""Checks the text of a LightGBM model: its reader follows the numbers in it without looking, forever if need be."""

import re
from itertools import pairwise

from penstock.core.errors import CorruptDataError

_Block = dict[str, str]
_TREE = re.compile(rb"^Tree=(\d+)$", re.MULTILINE)
_END = b"\nend of trees"


def check_text(text: str) -> None:
    """Let a model pass whose trees stay within their bounds and come to an end.

    Raises:
        CorruptDataError: a number is missing, is none, or points outside of what it belongs to.
    """
    try:
        problem = _find_problem(text.encode())
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        problem = f"it cannot be read: {error!r}"
    if problem:
        raise CorruptDataError(f"the LightGBM model is damaged: {problem}"[:500])


def _find_problem(content: bytes) -> str:
    """What is wrong, in words; empty when nothing is."""
    if b"\0" in content or content.count(_END) != 1:
        return "it does not end as such a file does"
    trees = list(_TREE.finditer(content, 0, content.index(_END)))
    starts = [match.start() for match in trees]
    header = _read_block(content[: starts[0] if starts else content.index(_END)])
    features, per_iteration = int(header["max_feature_idx"]) + 1, int(header["num_tree_per_iteration"])
    if features < 1 or len(header["feature_names"].split()) != features:
        return f"it has {header['feature_names'].count(' ') + 1} names for {features} features"
    objective = header.get("objective", "")
    classes = re.search(r"num_class:(\d+)", objective)
    if per_iteration < 1 or int(header["num_class"]) != per_iteration or len(trees) % per_iteration:
        return f"{len(trees)} trees do not make up rounds of {per_iteration}"
    if (int(classes[1]) if classes else 1) != per_iteration:
        return f"the objective {objective!r} does not fit {per_iteration} trees a round"
    if [int(match[1]) for match in trees] != list(range(len(trees))):
        return "its trees are not numbered 0, 1, 2 ..."
    sizes = list(map(int, header["tree_sizes"].split())) if "tree_sizes" in header else []
    offsets = [starts[0] if starts else 0]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    if sizes and offsets[:-1] != starts:
        return "its trees do not stand where the header says"
    ends = [*starts[1:], content.index(_END)]
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if problem := _find_tree_problem(_read_block(content[start:end]), features):
            return f"tree {place}: {problem}"
    return ""


def _read_block(content: bytes) -> _Block:
    pairs = [line.partition("=") for line in content.decode().splitlines() if "=" in line]
    block = {key: value for key, _, value in pairs}
    if len(block) != len(pairs):
        raise ValueError("a key stands there twice")
    return block


def _find_tree_problem(tree: _Block, features: int) -> str:
    leaves = int(tree["num_leaves"])
    nodes = leaves - 1
    if leaves < 1 or len(_floats(tree, "leaf_value")) != leaves:
        return f"it does not have {leaves} leaves"
    if int(tree.get("is_linear", "0")):
        return _find_linear_problem(tree, leaves, features)
    return _find_node_problem(tree, nodes, features) if nodes else ""


def _find_node_problem(tree: _Block, nodes: int, features: int) -> str:
    split, left, right, kinds = (
        _integers(tree, name) for name in ("split_feature", "left_child", "right_child", "decision_type")
    )
    thresholds = _floats(tree, "threshold")
    if {len(values) for values in (split, left, right, kinds, thresholds)} != {nodes}:
        return f"it does not have {nodes} nodes"
    if not all(0 <= feature < features for feature in split):
        return "a node asks for a feature that is not there"
    children = sorted([*left, *right])
    # Every node but the first and every leaf is the child of exactly one node, and comes behind it.
    if children != [*range(-nodes - 1, 0), *range(1, nodes)]:
        return "its nodes make no tree"
    if any(0 <= child <= node for side in (left, right) for node, child in enumerate(side)):
        return "a node points back"
    groups = int(tree.get("num_cat", "0"))
    bounds = _integers(tree, "cat_boundaries") if groups else [0]
    if len(bounds) != groups + 1 or bounds[0] != 0 or any(low > high for low, high in pairwise(bounds)):
        return "its sets of categories overlap"
    if groups and len(_integers(tree, "cat_threshold")) != bounds[-1]:
        return "its sets of categories are incomplete"
    chosen = [threshold for threshold, kind in zip(thresholds, kinds, strict=True) if kind & 1]
    return (
        "" if all(0 <= place < groups for place in chosen) else "a node asks for a set of categories that is not there"
    )


def _find_linear_problem(tree: _Block, leaves: int, features: int) -> str:
    counts, used = _integers(tree, "num_features"), _integers(tree, "leaf_features")
    sound = (
        len(counts) == leaves
        and min(counts) >= 0
        and len(_floats(tree, "leaf_const")) == leaves
        and len(used) == len(_floats(tree, "leaf_coeff")) == sum(counts)
        and all(0 <= feature < features for feature in used)
    )
    if not sound:
        return "the lines in its leaves are incomplete"
    return _find_node_problem(tree, leaves - 1, features) if leaves > 1 else ""


def _integers(tree: _Block, name: str) -> list[int]:
    return [int(text) for text in tree[name].split()]


def _floats(tree: _Block, name: str) -> list[float]:
    return [float(text) for text in tree[name].split()]
