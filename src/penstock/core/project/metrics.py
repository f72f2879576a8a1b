"""The names of the metrics that a project file may use, by task; `evaluation` computes them."""

import re

from penstock.core.codec import nearest_hint
from penstock.core.project.types import Task

_BINARY = ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "precision")
_REGRESSION = ("mae", "rmse", "r2", "median_absolute_error", "mape")
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": (*_BINARY, "recall"),
    "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"),
    "regression": _REGRESSION,
    "forecast": _REGRESSION,
    "ranking": ("recall_at_20", "ndcg_at_20", "mrr_at_20", "precision_at_10", "coverage_at_20"),
}
_AT_K = re.compile(r"(recall|ndcg|mrr|precision|coverage)_at_[1-9]\d{0,3}")


def metric_problem(name: str, task: Task) -> tuple[str, str] | None:
    """What is wrong with a metric's name, and the way out; None when the task has such a metric."""
    if name in METRICS[task] or (task == "ranking" and _AT_K.fullmatch(name)):
        return None
    return f"{name!r} is no metric of a {task} task", nearest_hint(name, METRICS[task])
