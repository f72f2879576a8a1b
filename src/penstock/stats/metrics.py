"""Every metric by its name: what it reads, which way is better, and how it is computed on weighted rows."""

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.stats import classification, ranking, regression
from penstock.stats.arrays import FloatArray
from penstock.stats.directions import AT_K, find_direction

TASKS: Final = ("binary", "multiclass", "regression", "ranking", "forecast")

Terms = Callable[[Any, Any], FloatArray]
Combine = Callable[[FloatArray, FloatArray], FloatArray]


class Metric(Struct, frozen=True):
    """One measure of a model on labelled rows.

    Attributes:
        name: as written in a project file.
        tasks: where it applies.
        reads: what of a model's output it needs: `prediction`, `score`, `probabilities` or `items`.
        terms: (truth, output) to what each row adds, shape (n, d); NaN in rows that cannot be scored.
        combine: (terms, weights of shape (b, n)) to values of shape (b,); NaN where undefined.
        is_mean: the value is the plain mean of one term per row, so that rows can be compared in pairs.
        has_interval: resampling rows says something about its uncertainty (not so for coverage).
    """

    name: str
    tasks: tuple[str, ...]
    reads: str
    terms: Terms
    combine: Combine
    is_mean: bool = False
    has_interval: bool = True

    @property
    def higher_is_better(self) -> bool:
        """Which way is better."""
        return find_direction(self.name) == 1

    def fn(self, truth: Any, output: Any) -> float:
        """The value on these rows; NaN where undefined, such as ROC AUC with one class only."""
        return self.value(self.terms(truth, output))

    def per_row(self, truth: Any, output: Any) -> FloatArray | None:
        """What each row adds to the mean, shape (n,), NaN in rows left out; None where the metric is no mean."""
        return self.terms(truth, output)[:, 0] if self.is_mean else None

    def value(self, terms: FloatArray) -> float:
        """The value from terms; rows with NaN are left out."""
        known = terms[scored_rows(terms)]
        return float(self.combine(known, np.ones((1, len(known))))[0]) if len(known) else float("nan")


def scored_rows(terms: FloatArray) -> Any:
    """Which rows can be scored at all; shape (n,), boolean."""
    return ~np.isnan(terms).any(axis=1)


def find_metric(name: str) -> Metric:
    """The metric of that name; ranking metrics carry their depth, as in `recall_at_20`.

    Raises:
        InvalidInputError: there is none; the hint gives the nearest spelling.
    """
    if name in METRICS:
        return METRICS[name]
    at_k = AT_K.fullmatch(name)
    if at_k and at_k.group(1) in _RANKING:
        return _ranking_metric(at_k.group(1), int(at_k.group(2)))
    known = [*METRICS, *(f"{kind}_at_{at_k.group(2) if at_k else 20}" for kind in _RANKING)]
    raise InvalidInputError(f"there is no metric {name!r}", hint=nearest_hint(name, known), field="metric")


def primary_metric(task: str) -> str:
    """The metric a task is judged by when nobody says otherwise.

    Raises:
        InvalidInputError: no such task.
    """
    return default_metrics(task)[0]


def default_metrics(task: str) -> tuple[str, ...]:
    """The metrics a report of this task holds anyway, the primary one first.

    Raises:
        InvalidInputError: no such task.
    """
    if task not in _DEFAULTS:
        raise InvalidInputError(f"there is no task {task!r}", hint=nearest_hint(task, TASKS), field="task")
    return _DEFAULTS[task]


def combine_means(finish: Callable[[FloatArray], FloatArray]) -> Combine:
    """A metric that is a function of weighted means of its terms: (b, d) to (b,)."""

    def combine(terms: FloatArray, weights: FloatArray) -> FloatArray:
        total = weights.sum(axis=1, keepdims=True)
        means = np.full((len(weights), terms.shape[1]), np.nan)
        np.divide(weights @ terms, total, out=means, where=total > 0)
        return finish(means)

    return combine


def _only(means: FloatArray) -> FloatArray:
    return means[:, 0]


_CLASSES = ("binary", "multiclass")
_NUMBERS = ("regression", "forecast")
_mean = combine_means(_only)


def _class_metric(name: str, terms: Terms, finish: Callable[[FloatArray], FloatArray], *tasks: str) -> Metric:
    return Metric(name, tasks or ("binary",), "prediction", terms, combine_means(finish))


def _error(name: str, terms: Terms, finish: Callable[[FloatArray], FloatArray] = _only) -> Metric:
    return Metric(name, _NUMBERS, "prediction", terms, combine_means(finish), is_mean=finish is _only)


_BUILT_IN = (
    Metric("roc_auc", ("binary",), "score", classification.score_terms, classification.combine_roc_auc),
    Metric(
        "average_precision",
        ("binary",),
        "score",
        classification.score_terms,
        classification.combine_average_precision,
    ),
    Metric("log_loss", _CLASSES, "probabilities", classification.log_loss_terms, _mean, is_mean=True),
    Metric("brier", _CLASSES, "probabilities", classification.brier_terms, _mean, is_mean=True),
    Metric("accuracy", _CLASSES, "prediction", classification.accuracy_terms, _mean, is_mean=True),
    _class_metric("f1", classification.confusion_terms, classification.combine_f1),
    _class_metric("precision", classification.confusion_terms, classification.combine_precision),
    _class_metric("recall", classification.confusion_terms, classification.combine_recall),
    _class_metric("f1_macro", classification.class_confusion_terms, classification.combine_macro_f1, *_CLASSES),
    _class_metric(
        "balanced_accuracy", classification.class_confusion_terms, classification.combine_balanced_accuracy, *_CLASSES
    ),
    _error("mae", regression.absolute_error_terms),
    _error("mse", regression.squared_error_terms),
    _error("rmse", regression.squared_error_terms, regression.combine_root),
    _error("mape", regression.percentage_error_terms),
    Metric("r2", _NUMBERS, "prediction", regression.r2_terms, combine_means(regression.combine_r2)),
)
METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in _BUILT_IN}

_RANKING: Final[dict[str, Callable[[ranking.Matches, int], FloatArray]]] = {
    "recall": ranking.recall_at,
    "ndcg": ranking.ndcg_at,
    "mrr": ranking.mrr_at,
    "precision": ranking.precision_at,
    "hit_rate": ranking.hit_rate_at,
    "map": ranking.average_precision_at,
    "coverage": ranking.coverage_terms,
}

_DEFAULTS: Final[dict[str, tuple[str, ...]]] = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1"),
    "multiclass": ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "brier"),
    "regression": ("rmse", "mae", "r2"),
    "forecast": ("mae", "rmse", "r2"),
    "ranking": ("recall_at_20", "ndcg_at_20", "mrr_at_20", "hit_rate_at_20", "coverage_at_20"),
}


@functools.cache
def _ranking_metric(kind: str, k: int) -> Metric:
    per_row = _RANKING[kind]

    def terms(relevant: Any, items: Any) -> FloatArray:
        matches = items if isinstance(items, ranking.Matches) else ranking.match_items(relevant, items)
        values = per_row(matches, k)
        return values if values.ndim == 2 else values[:, None]

    name = f"{kind}_at_{k}"
    if kind == "coverage":
        return Metric(name, ("ranking",), "items", terms, ranking.combine_coverage, has_interval=False)
    return Metric(name, ("ranking",), "items", terms, _mean, is_mean=True)
