"""Which correction finds more under one budget: Holm's procedure and e-BH, for columns that drift and groups that lose.

    python bench/multiplicity.py [--runs 40] [--json]

**Columns.** Some of 30 columns move by a part of their standard deviation; each window is compared with a reference
of 5,000 rows at the level of `1 per 90d`. Holm's procedure works on the p-values. For e-BH they are turned into
e-values by the calibrator that has no knob, (1 - p + p log p) / (p log^2 p) (Vovk and Wang 2021). Shown: the share of
windows that alarm, and of the moved columns that are named; where none has moved, alarms are false.

**Groups.** Of 8 groups some lose more from one window on, and each is watched by an e-detector. "own bars" gives each
an eighth of the budget, as the monitor does. e-BH on the detectors (Dandapanthula and Ramdas 2025) alarms for k groups
where each of them has a k-th of the evidence that one would need. Shown: the median delay, in rows of a group, to the
first alarm, how many of the groups that lose are named when it comes, and false alarms before.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from penstock.core.ids import Digest
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.column_drift import compare_column
from penstock.monitoring.decay import Harm, WindowLosses, judge_losses
from penstock.monitoring.sketches import TableSketch, sketch_frame
from penstock.monitoring.types import LossEvidence
from penstock.stats import multiplicity

BUDGET = AlarmBudget(1, 90)  # one false alarm in 90 windows
COLUMNS, REFERENCE = 30, 5000
GROUPS, CALM, AFTER = 8, 30, 60  # windows before and after the change


def columns(moved: int, shift: float, rows: int, *, runs: int) -> list[dict[str, Any]]:
    """Windows of which some columns have moved, each against a reference of its own."""
    found: dict[str, list[list[bool]]] = {"Holm": [], "e-BH": []}
    for run in range(runs):
        rng = np.random.default_rng(run)
        reference = sketch(rng.normal(size=(REFERENCE, COLUMNS)))
        for _ in range(5):
            values = rng.normal(size=(rows, COLUMNS))
            values[:, :moved] += shift
            p_values = test(reference, sketch(values))
            found["Holm"].append((multiplicity.holm(p_values) <= BUDGET.rate).tolist())
            found["e-BH"].append(multiplicity.e_benjamini_hochberg(calibrate(p_values), BUDGET.rate).tolist())
    return [
        {
            "what": f"{moved} of {COLUMNS} columns by {shift:g} sd",
            "window_rows": rows,
            "by": name,
            "alarms": float(np.mean([any(window) for window in windows])),
            "named": float(np.mean([window[:moved] for window in windows])) if moved else None,
        }
        for name, windows in found.items()
    ]


def sketch(values: np.ndarray) -> TableSketch:
    return sketch_frame(pl.DataFrame(values, schema=[f"x{number}" for number in range(values.shape[1])]))


def test(reference: TableSketch, current: TableSketch) -> np.ndarray:
    names = reference.columns
    return np.array([compare_column(name, names[name], current.columns[name]).p_value or 0.0 for name in names])


def calibrate(p_values: np.ndarray) -> np.ndarray:
    """E-values from p-values."""
    p = np.clip(p_values, 1e-300, 1 - 1e-9)
    return np.asarray((1 - p + p * np.log(p)) / (p * np.log(p) ** 2))


def groups(losing: int, rise: float, rows: int, *, runs: int) -> list[dict[str, Any]]:
    """Eight groups of which some lose more from a window on."""
    firsts: dict[str, list[tuple[int, int] | None]] = {"own bars": [], "e-BH": []}
    false = dict.fromkeys(firsts, 0)
    for run in range(runs):
        rng = np.random.default_rng(run)
        shares = np.array([evidence(rng, rise if group < losing else 0.0, rows) for group in range(GROUPS)])
        for name, named in (("own bars", shares >= 1), ("e-BH", np.array([e_bh(window) for window in shares.T]).T)):
            alarms = np.flatnonzero(named.any(axis=0))
            false[name] += int((alarms < CALM).any())
            after = alarms[alarms >= CALM]
            firsts[name].append((int(after[0]) - CALM + 1, int(named[:losing, after[0]].sum())) if len(after) else None)
    return [
        {
            "what": f"{losing} of {GROUPS} groups lose {rise:g} more",
            "window_rows": rows,
            "by": name,
            "found": f"{sum(first is not None for first in held)}/{runs}",
            "delay_rows": float(np.median([first[0] * rows for first in held if first])) if any(held) else None,
            "named": float(np.mean([first[1] for first in held if first])) if any(held) else None,
            "false_alarms": false[name],
        }
        for name, held in firsts.items()
    ]


def evidence(rng: np.random.Generator, rise: float, rows: int) -> list[float]:
    """What a group's detector has after each window, as a share of its own bar; 0 while there is none."""
    rates = [0.15] * CALM + [0.15 + rise] * AFTER
    losses = [(rng.random(rows) < rate).astype(float) for rate in rates]
    chain = [WindowLosses(w, LossEvidence(mean_loss=float(w.mean()), groups=rows, losses=Digest(""))) for w in losses]
    return [found.evidence or 0.0 for found in judge_losses(Harm(), chain, BUDGET.split(GROUPS))]


def e_bh(shares: Sequence[float]) -> np.ndarray:
    """Whose evidence is enough, where that of k groups needs to be a k-th of what one would need."""
    return multiplicity.e_benjamini_hochberg(np.asarray(shares) * GROUPS, 1 - 1e-12)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=40)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    results = []
    for moved, shift in ((0, 0.0), (1, 0.25), (3, 0.25), (10, 0.25), (1, 0.5)):
        results += columns(moved, shift, 200, runs=given.runs)
    for losing in (0, 1, 2, 4):
        results += groups(losing, 0.08 if losing else 0.0, 100, runs=given.runs)
    if given.json:
        print(json.dumps({"bench": "multiplicity", "results": results}))
        return
    for held in results:
        print(
            "  ".join(
                f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in held.items()
            )
        )


if __name__ == "__main__":
    main()
