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
_AT_K = re.compile(rf"({'|'.join(_RANKING)})_at_[1-9]\d{{0,3}}")


def metric_problem(name: str, task: Task) -> tuple[str, str] | None:
    """What is wrong with a metric's name, and the way out; None when the task has such a metric."""
    if name in METRICS[task] or (task == "ranking" and _AT_K.fullmatch(name)):
        return None
    return f"{name!r} is no metric of a {task} task", nearest_hint(name, METRICS[task])
