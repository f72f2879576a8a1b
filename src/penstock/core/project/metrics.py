"""The names of the metrics that a project file may use, by task; `stats` computes them, and a test compares the two."""

import re

from penstock.core.codec import nearest_hint
from penstock.core.project.types import Task

_CLASSES = ("log_loss", "brier", "accuracy", "f1_macro", "balanced_accuracy")
_NUMBERS = ("mae", "mse", "rmse", "mape", "r2")
_RANKING = ("recall", "ndcg", "mrr", "precision", "hit_rate", "map", "coverage")
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", *_CLASSES, "f1", "precision", "recall"),
    "multiclass": _CLASSES,
    "regression": _NUMBERS,
    "forecast": _NUMBERS,
    "ranking": tuple(f"{name}_at_20" for name in _RANKING),
}
COMPARED = ("accuracy", "roc_auc")  # and the means of rankings: what revisions are compared by as they serve
COMPARED_HINT = f"take {', '.join(COMPARED)}, or a metric of lists other than coverage"
_AT_K = re.compile(rf"({'|'.join(_RANKING)})_at_[1-9]\d{{0,3}}")


def metric_problem(name: str, task: Task) -> tuple[str, str] | None:
    """What is wrong with a metric's name, and the way out; None when the task has such a metric."""
    if name in METRICS[task] or (task == "ranking" and _AT_K.fullmatch(name)):
        return None
    return f"{name!r} is no metric of a {task} task", nearest_hint(name, METRICS[task])


def is_compared(name: str) -> bool:
    """Whether two revisions can be compared by a metric while they serve: it is a mean of values between 0 and 1."""
    at_k = _AT_K.fullmatch(name)
    return name in COMPARED or (at_k is not None and at_k.group(1) != "coverage")
