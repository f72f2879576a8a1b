"""Metrics of labelled rows with intervals."""

import math
from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from penstock.evaluation.answers import Answers
from penstock.evaluation.types import MetricValue
from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.auc import auc_interval
from penstock.stats.intervals import Interval, bootstrap_interval, mean_interval, wilson_interval
from penstock.stats.metrics import Metric, find_metric, scored_rows

FEW_ROWS = 5  # fewer say nothing about uncertainty


class Precision(Struct, frozen=True):
    """How intervals are made."""

    confidence: float = 0.95
    replicates: int = 500
    seed: int = 0


def collect_terms(answers: Answers, metrics: Iterable[str], *, catalogue: int = 0) -> dict[str, FloatArray | None]:
    """What each row adds to each metric; None where the model does not give what the metric reads."""
    found: dict[str, FloatArray | None] = {}
    for name in metrics:
        metric = find_metric(name)
        output = answers.outputs.get(metric.reads)
        terms = None if output is None else metric.terms(answers.truth, output)
        if terms is not None and name.startswith("coverage_at_"):
            terms[:, 0] = np.maximum(terms[:, 0], catalogue)
        found[name] = terms
    return found


def measure(metric: Metric, terms: FloatArray | None, clusters: IntArray | None, precision: Precision) -> MetricValue:
    """The metric with its interval: of a rate by Wilson, a mean by Student, ROC AUC by DeLong, else by drawing rows.

    Where rows come in clusters, whole clusters are the units.
    """
    if terms is None:
        return MetricValue(name=metric.name, value=None, n=0, higher_is_better=metric.higher_is_better)
    known = scored_rows(terms)
    terms, clusters = terms[known], None if clusters is None else clusters[known]
    value = metric.value(terms)
    if not math.isfinite(value):
        return MetricValue(name=metric.name, value=None, n=len(terms), higher_is_better=metric.higher_is_better)
    interval = _interval(metric, terms, clusters, precision)
    return MetricValue(
        name=metric.name,
        value=value,
        low=interval.low if math.isfinite(interval.low) else None,
        high=interval.high if math.isfinite(interval.high) else None,
        n=len(terms),
        higher_is_better=metric.higher_is_better,
    )


def _interval(metric: Metric, terms: FloatArray, clusters: IntArray | None, precision: Precision) -> Interval:
    if not metric.has_interval or len(terms) < FEW_ROWS:
        return Interval(-math.inf, math.inf)
    if metric.name == "roc_auc":
        return auc_interval(terms, clusters=clusters, confidence=precision.confidence)
    if not metric.is_mean:
        return bootstrap_interval(
            terms,
            metric.combine,
            clusters=clusters,
            confidence=precision.confidence,
            replicates=precision.replicates,
            seed=precision.seed,
        )
    values = terms[:, 0]
    if clusters is None and ((values == 0) | (values == 1)).all():
        return wilson_interval(float(values.sum()), len(values), confidence=precision.confidence)
    interval = mean_interval(values, clusters=clusters, confidence=precision.confidence)
    if math.isinf(interval.low):
        return interval
    # No mean here can be below zero, and those where more is better end at one.
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0) if metric.higher_is_better else interval.high)
