"""The metric of a young window as it will be: each outcome known counts as 1 / G(age) outcomes.

G is the label-delay curve, and an outcome of which at this age only a third are known stands for three. The weighted
mean is then what the mean will be once all are known (inverse probability of censoring weighting; Robins and Rotnitzky
1992, in the form of Hajek). It is right where, in a window, when an outcome becomes known says nothing about whether
the answer was right. So there is none

- for other metrics than means of values between 0 and 1, and where outcomes are one-sided;
- where a part of the window is so young that less than 5 % would be known (`FLOOR`): few would stand for many;
- where the outcomes of matured windows that came early and those that came late differ by more than three standard
  errors, or are too few to say.

It is shown, and alarms nobody: only matured windows do.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.project.metrics import is_compared
from penstock.core.project.types import Task
from penstock.monitoring.delay_counts import find_bucket
from penstock.monitoring.delays import bucket_end_s
from penstock.monitoring.performance import read_labelled_rows
from penstock.monitoring.types import AgeSum, Maturity, Window
from penstock.stats.metrics import find_metric
from penstock.stats.survival import Incidence

PARTS = 4  # of a window's time, each with an age of its own
FLOOR = 0.05
ENOUGH = 100  # outcomes on either side, to say whether early and late ones are alike
ERRORS = 3.0


class Speeds(Struct, frozen=True):
    """What matured windows say of outcomes that came early and of those that came late."""

    early: tuple[int, float] = (0, 0.0)  # how many, and the sum of the metric
    late: tuple[int, float] = (0, 0.0)

    @property
    def are_alike(self) -> bool:
        """Whether when an outcome came said nothing of whether the answer was right."""
        (n, first), (m, second) = self.early, self.late
        if min(n, m) < ENOUGH:
            return False
        share = (first + second) / (n + m)
        error = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
        return abs(first / n - second / m) <= ERRORS * error


def is_weighed(metric_name: str) -> bool:
    """Whether a metric is a mean of values between 0 and 1, and of single rows."""
    return is_compared(metric_name) and find_metric(metric_name).is_mean


def sum_by_age(
    task: Task, metric_name: str, rows: pl.DataFrame, classes: Sequence[Any], start: datetime, length: timedelta
) -> list[AgeSum]:
    """The metric summed over a window's known outcomes: by part of its time, and by how long they took.

    Args:
        task: of the model.
        metric_name: what performance is measured by.
        rows: of the version that is judged, with their outcomes.
        classes: of a classifier.
        start: of the window.
        length: of the window.
    """
    known = rows.filter(pl.col("outcome_at").is_not_null())
    if not is_weighed(metric_name) or not known.height:
        return []
    labelled = read_labelled_rows(task, known.with_columns(key="id"), classes)
    metric = find_metric(metric_name)
    if not len(labelled) or metric.reads not in labelled.outputs:
        return []
    values = np.nan_to_num(metric.terms(labelled.truth, labelled.outputs[metric.reads])[:, 0], nan=0.0)
    scored = pl.DataFrame({"id": labelled.keys, "value": values}).join(known, on="id", maintain_order="left")
    sums: dict[tuple[int, int], tuple[int, float]] = {}
    for value, at, known_at in scored.select("value", "at", "outcome_at").iter_rows():
        cell = (at - start) * PARTS // length, find_bucket((known_at - at).total_seconds())
        count, total = sums.get(cell, (0, 0.0))
        sums[cell] = (count + 1, total + value)
    return [(*cell, *sums[cell]) for cell in sorted(sums)]


def find_speeds(matured: Sequence[Maturity]) -> Speeds:
    """The outcomes of matured windows, those that took less than the median and the others."""
    sums: dict[int, tuple[int, float]] = {}
    for maturity in matured:
        for _part, bucket, count, total in maturity.sums:
            n, before = sums.get(bucket, (0, 0.0))
            sums[bucket] = (n + count, before + total)
    whole = sum(count for count, _ in sums.values())
    early, late = (0, 0.0), (0, 0.0)
    for bucket in sorted(sums):
        count, total = sums[bucket]
        if early[0] + count <= whole / 2 or not early[0]:
            early = (early[0] + count, early[1] + total)
        else:
            late = (late[0] + count, late[1] + total)
    return Speeds(early, late)


def weigh(maturity: Maturity, window: Window, curve: Incidence, age_s: float) -> float | None:
    """The weighted metric; None where nothing is known, or a part of the window is too young.

    Args:
        maturity: of the window.
        window: it.
        curve: the label-delay curve.
        age_s: seconds since the window's end.
    """
    part_s = (window.end - window.start).total_seconds() / PARTS
    ages = [age_s + part_s * (PARTS - place - 0.5) for place in range(PARTS)]
    shares = [curve.share_by(age) for age in ages]
    if min(shares) < FLOOR:
        return None
    # What came after the moment of the curve is known too early, and would be weighed as if it were not.
    seen = [each for each in maturity.sums if bucket_end_s(each[1]) <= ages[each[0]]]
    known = sum(count / shares[place] for place, _bucket, count, _total in seen)
    return sum(total / shares[place] for place, _bucket, _count, total in seen) / known if known else None
