"""Models that are known to be converted silently wrong, or whose labels do not follow from their probabilities."""

from collections.abc import Iterator
from typing import Any

_DEPTH_LIMIT = 20
_BOOSTED = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_OWN_THRESHOLD = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")


def find_refusal(model: Any) -> str:
    """Why a model is not even tried, in words; empty when nothing speaks against it."""
    for part in _parts(model, 0):
        name = type(part).__name__
        if name in _BOOSTED and _has_categories(part):
            return f"{name} with native categoricals converts silently wrong"
        if name in _OWN_THRESHOLD:
            return f"{name} chooses labels by a threshold of its own, which its probabilities do not tell"
        if getattr(part, "handle_unknown", None) == "error":
            return f"{name} refuses categories it has not seen (handle_unknown='error'), which ONNX would let pass"
    return ""


def _has_categories(part: Any) -> bool:
    marked = getattr(part, "is_categorical_", None)
    return marked is not None and bool(marked.any())


def _parts(value: Any, depth: int) -> Iterator[Any]:
    """A model and every object of scikit-learn in it: some hold estimators without being one."""
    if depth > _DEPTH_LIMIT:
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item, depth + 1)
    elif hasattr(value, "get_params") or (hasattr(value, "__dict__") and type(value).__module__.startswith("sklearn.")):
        yield value
        for item in vars(value).values():
            yield from _parts(item, depth + 1)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _parts(item, depth + 1)
