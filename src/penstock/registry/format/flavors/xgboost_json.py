"""Checks an XGBoost model before its library reads it, in JSON or in UBJ, the same in binary."""

import struct
from typing import Any, ClassVar

import msgspec

from penstock.core.errors import CorruptDataError

_DEPTH_LIMIT = 50
_COUNTS = ("num_nodes", "size_leaf_vector")
_PER_NODE = (
    "right_children",
    "split_indices",
    "split_conditions",
    "default_left",
    "parents",
    "loss_changes",
    "sum_hessian",
)
_NO_PARENT = 2**31 - 1
_MOST_OUTPUTS = 10_000
_UNREADABLE = (KeyError, ValueError, TypeError, IndexError, OverflowError, RecursionError, struct.error)  # or no JSON


def check_model(content: bytes) -> None:
    """Let a model pass whose trees stay within their bounds and come to an end.

    Raises:
        CorruptDataError: it is neither JSON nor UBJ, or a number in it points outside of what it belongs to.
    """
    try:
        problem = _find_problem(_read(content))
    except _UNREADABLE as error:
        problem = f"it cannot be read: {error!r}"
    if problem:
        raise CorruptDataError(f"the XGBoost model is damaged: {problem}"[:500])


def _read(content: bytes) -> Any:
    start = content[:2]
    if not start.startswith(b"{"):
        raise ValueError("it is neither JSON nor UBJ")
    if start[1:] in (b'"', b"\n", b" ", b"\r", b"\t"):
        return msgspec.json.decode(content)
    reader = _Ubj(content)
    value = reader.read(reader.take(1), 0)
    if reader.place != len(content):
        raise ValueError("something follows its end")
    return value


def _find_problem(model: Any) -> str:
    """What is wrong, in words; empty when nothing is."""
    learner = model["learner"]
    shape = learner["learner_model_param"]
    features, classes = int(shape["num_feature"]), int(shape["num_class"])
    targets = int(shape.get("num_target", "1"))
    outputs = max(1, classes, targets)
    if classes < 0 or targets < 1 or outputs > _MOST_OUTPUTS:
        return f"it has {classes} classes and {targets} targets"
    names = learner.get("feature_names", [])
    if features < 1 or len(names) not in (0, features):
        return f"it has {len(names)} names for {features} features"
    booster = learner["gradient_booster"]
    if booster["name"] == "gblinear":
        weights = booster["model"]["weights"]
        return "" if len(weights) == (features + 1) * outputs else f"it has {len(weights)} weights"
    forest = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    trees, groups, rounds = forest["trees"], forest["tree_info"], forest.get("iteration_indptr", [])
    if booster["name"] == "dart" and len(booster["weight_drop"]) != len(trees):
        return "its trees and their weights differ in number"
    if int(forest["gbtree_model_param"]["num_trees"]) != len(trees) or len(groups) != len(trees):
        return f"it does not have the {len(trees)} trees it says"
    if not all(0 <= group < outputs for group in groups):
        return "a tree belongs to a class that is not there"
    if rounds and (rounds[0] != 0 or rounds[-1] != len(trees) or rounds != sorted(rounds)):
        return "its rounds do not add up to its trees"
    for place, tree in enumerate(trees):
        if tree["id"] != place:
            return f"tree {place} is numbered {tree['id']}"
        if problem := _find_tree_problem(tree, features, outputs):
            return f"tree {place}: {problem}"
    return ""


def _find_tree_problem(tree: Any, features: int, outputs: int) -> str:
    count, width = (int(tree["tree_param"][name]) for name in _COUNTS)
    left, right, split = tree["left_children"], tree["right_children"], tree["split_indices"]
    lengths = {len(left), *(len(tree[name]) for name in _PER_NODE)}
    if count < 1 or lengths != {count}:
        return f"it does not have {count} nodes"
    if int(tree["tree_param"].get("num_feature", features)) != features:
        return "it is for another number of features"
    if width not in (0, 1, outputs) or len(tree["base_weights"]) not in (count, count * max(1, width)):
        return "its leaves have the wrong size"
    if any(tree.get("split_type", ())) or any(tree.get("categories", ())):
        return "it splits by category, and such models are not read"
    inner = [node for node in range(count) if left[node] != -1]
    if any((left[node] == -1) != (right[node] == -1) for node in range(count)):
        return "a node has only one child"
    if not all(0 <= split[node] < features for node in inner):
        return "a node asks for a feature that is not there"
    children = [child for node in inner for child in (left[node], right[node])]
    if not all(0 < child < count for child in children) or len(set(children)) != len(children):
        return "its nodes make no tree"
    parents = tree["parents"]
    if parents[0] != _NO_PARENT or any(parents[child] != node for node in inner for child in (left[node], right[node])):
        return "its nodes do not know their parents"
    if not all(0 <= parent < count or parent == _NO_PARENT for parent in parents):
        return "a node hangs on one that is not there"
    return "" if _is_one_tree(left, right) else "its nodes run in a circle"


def _is_one_tree(left: list[int], right: list[int]) -> bool:
    """Whether following children from the root comes to an end; each node is the child of one at most."""
    waiting, steps = [0], 0
    while waiting:
        node = waiting.pop()
        steps += 1
        if steps > len(left):
            return False
        if left[node] != -1:
            waiting += [left[node], right[node]]
    return True


class _Ubj:
    """Reads Universal Binary JSON (draft 12), with typed arrays."""

    _NUMBERS: ClassVar = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size < 0 or self.place + size > len(self.content):
            raise ValueError("it ends too early")
        self.place += size
        return self.content[self.place - size : self.place]

    def read(self, marker: bytes, depth: int) -> Any:
        """The value behind a marker."""
        if depth > _DEPTH_LIMIT:
            raise ValueError(f"it is nested more than {_DEPTH_LIMIT} deep")
        if marker in self._NUMBERS:
            code = self._NUMBERS[marker]
            return struct.unpack(code, self.take(struct.calcsize(code)))[0]
        match marker:
            case b"S":
                return self.take(self._length()).decode()
            case b"C":
                return self.take(1).decode()
            case b"T" | b"F":
                return marker == b"T"
            case b"Z":
                return None
            case b"{":
                return self._read_object(depth)
            case b"[":
                return self._read_array(depth)
        raise ValueError(f"it holds {marker!r}, which is no type")

    def _length(self) -> int:
        size = self.read(self.take(1), 0)
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"{size!r} is no length")
        return size

    def _peek(self) -> bytes:
        return self.content[self.place : self.place + 1]

    def _read_object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != b"}":
            name = self.take(self._length()).decode()
            found[name] = self.read(self.take(1), depth + 1)
        self.take(1)
        return found

    def _read_array(self, depth: int) -> list[Any]:
        marker = b""
        if self._peek() == b"$":
            self.take(1)
            marker = self.take(1)
        if self._peek() == b"#":
            self.take(1)
            count = self._length()
            if marker in self._NUMBERS:
                code = self._NUMBERS[marker]
                data = self.take(count * struct.calcsize(code))
                return list(struct.unpack(f">{count}{code[1]}", data))
            if count > len(self.content):
                raise ValueError(f"it cannot have {count} values")
            return [self.read(marker or self.take(1), depth + 1) for _ in range(count)]
        found = []
        while self._peek() != b"]":
            found.append(self.read(self.take(1), depth + 1))
        self.take(1)
        return found
