"""The ways in which harm is measured, all judged alike (`decay.py`): what each row adds, and what is put up with.

A watch is named by what it measures: `loss`; `calibration:high`, `:low` and `:bold`; `gap:column=value`; `latency`;
`errors`. Gaps compare a group with all other rows of the same window, so that what befalls everybody widens none.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from penstock.core.project.types import Project
from penstock.monitoring.budget import AlarmBudget, list_group_columns, list_watches, share_budget
from penstock.monitoring.decay import Harm, loss_of
from penstock.monitoring.performance import LabelledRows, by_key, group_losses
from penstock.stats.arrays import FloatArray

MOST_GROUPS = 8  # of a column, the largest, that are watched: each has a part of the budget
LEAST_PAIRS = 10  # of a group and the others, below which a window says nothing of their gap
_LATE = 0.01  # the share of requests that may take longer than the 99th percentile of the project
_SIDES = ("high", "low", "bold")


def find_harm(project: Project, watch: str) -> Harm:
    """How the values of a watch are to be read."""
    name, guard = watch.partition(":")[0], project.deploy.guard
    bounded = loss_of(project.task).bounded
    if name == "latency":
        return Harm(tolerated=_LATE)
    if name == "errors":
        return Harm(tolerated=guard.error_rate)
    return Harm(bounded=bounded or name == "calibration", signed=name in ("calibration", "gap"))


def find_budget(project: Project, watch: str) -> AlarmBudget:
    """What a watch may spend."""
    name, share = watch.partition(":")[0], share_budget(project)
    if name == "calibration":
        return share.split(len(_SIDES))
    return share.split(MOST_GROUPS * len(list_group_columns(project))) if name == "gap" else share


def measure_harm(
    project: Project, metric: str, rows: pl.DataFrame, labelled: LabelledRows, groups: Mapping[str, list[LabelledRows]]
) -> dict[str, FloatArray]:
    """The values of every watch but the loss itself.

    Args:
        project: says what is watched.
        metric: what performance is measured by.
        rows: of the version that is judged; columns `latency_ms` and `status`.
        labelled: those whose outcome is known.
        groups: by `column=value`, the rows of that group and all others.
    """
    watches, found = list_watches(project), dict[str, FloatArray]()
    limit = project.deploy.guard.latency_p99_ms
    if "latency" in watches and limit is not None:
        found["latency"] = (rows["latency_ms"].to_numpy() > limit).astype(np.float64)
    if "errors" in watches:
        found["errors"] = (rows["status"] != "ok").to_numpy().astype(np.float64)
    if "calibration" in watches and "score" in labelled.outputs:
        found |= {f"calibration:{side}": held for side, held in _measure_calibration(labelled).items()}
    if "gap" in watches:
        gaps = {name: _measure_gap(project, metric, *both) for name, both in groups.items()}
        found |= {f"gap:{name}": held for name, held in gaps.items() if len(held) >= LEAST_PAIRS}
    return {name: held for name, held in found.items() if len(held)}


def _measure_calibration(rows: LabelledRows) -> dict[str, FloatArray]:
    """By how much probabilities are too high, too low and too far from a half; each is 0 on average where they hold."""
    score = rows.outputs["score"]
    off = score - rows.truth
    return {
        "high": by_key(off, rows.keys),
        "low": by_key(-off, rows.keys),
        "bold": by_key(np.where(score >= 0.5, off, -off), rows.keys),
    }


def _measure_gap(project: Project, metric: str, group: LabelledRows, others: LabelledRows) -> FloatArray:
    """How much more keys of a group lose than the others that came at about the same time.

    Both are cut into as many blocks as the smaller one has keys, so that one key of the one stands beside the mean of
    some of the other, and all keys are used.
    """
    first, second = (group_losses(project.task, metric, rows) for rows in (group, others))
    blocks = min(len(first), len(second))
    if not blocks:
        return np.zeros(0)
    return _block_means(first, blocks) - _block_means(second, blocks)


def _block_means(values: FloatArray, blocks: int) -> FloatArray:
    starts = np.arange(blocks) * len(values) // blocks
    return np.asarray(np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values))), dtype=np.float64)
