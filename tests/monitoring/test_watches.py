"""Every way of measuring harm, and that all of them together keep to the budget."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from penstock.core.ids import Digest
from penstock.core.project.parse import parse_project
from penstock.monitoring.budget import list_watches
from penstock.monitoring.decay import WindowLosses, judge_losses
from penstock.monitoring.fairness import cut_groups
from penstock.monitoring.performance import LabelledRows, group_losses
from penstock.monitoring.types import LossEvidence
from penstock.monitoring.watches import find_budget, find_harm, measure_harm
from penstock.stats.arrays import FloatArray

PROJECT = parse_project(
    """
[project]
name = "lend"
task = "binary"
[data.people]
source = "people.csv"
sensitive = ["region"]
[deploy]
guard = { error_rate = 0.02, latency_p99_ms = 50 }
[monitor]
window = "1d"
false_alarms = "1 per 90d"
performance = { metric = "accuracy" }
""",
    root=Path(),
)


def labelled(score: FloatArray, truth: FloatArray) -> LabelledRows:
    outputs = {"prediction": (score >= 0.5).astype(int), "score": score, "probabilities": score}
    return LabelledRows(truth, outputs, [str(number) for number in range(len(score))])


def measured(rng: np.random.Generator, n: int) -> dict[str, FloatArray]:
    """A window in which all is well: slow and failing answers just as often as is allowed."""
    score = rng.random(n)
    truth, south = (rng.random(n) < score).astype(int), rng.random(n) < 0.4
    frame = pl.DataFrame(
        {
            "latency_ms": np.where(rng.random(n) < 0.01, 60.0, 5.0),
            "status": np.where(rng.random(n) < 0.02, "error", "ok"),
        }
    )
    groups = {
        f"region={name}": [labelled(score[inside], truth[inside]), labelled(score[~inside], truth[~inside])]
        for name, inside in (("south", south), ("north", ~south))
    }
    rows = labelled(score, truth)
    return {
        "loss": group_losses("binary", "accuracy", rows),
        **measure_harm(PROJECT, "accuracy", frame, rows, groups),
    }


def test_everything_that_is_watched_is_measured() -> None:
    found = measured(np.random.default_rng(1), 300)
    names = {name.partition(":")[0] for name in found}
    assert names == set(list_watches(PROJECT)) - {"inputs", "estimate"}
    assert {"calibration:high", "calibration:low", "calibration:bold"} <= set(found)


@pytest.mark.slow
def test_where_nothing_is_wrong_all_detectors_together_keep_to_the_budget() -> None:
    rng, alarms, runs = np.random.default_rng(2), 0, 12
    for _ in range(runs):
        windows = [measured(rng, 80) for _ in range(90)]
        for watch in windows[0]:
            chain = [
                WindowLosses(
                    window[watch],
                    LossEvidence(
                        watch=watch,
                        mean_loss=float(window[watch].mean()),
                        groups=len(window[watch]),
                        losses=Digest("0" * 64),
                    ),
                )
                for window in windows
                if watch in window
            ]
            lost = [item.lost for item in judge_losses(find_harm(PROJECT, watch), chain, find_budget(PROJECT, watch))]
            alarms += sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert alarms <= runs  # one in 90 days is allowed, of which 5 of 7 parts are theirs


def test_the_gap_of_a_group_is_what_it_loses_more_than_the_others() -> None:
    certain = np.array([0.9] * 40)
    right, wrong = labelled(certain, np.ones(40, dtype=int)), labelled(certain[:20], np.zeros(20, dtype=int))
    frame = pl.DataFrame({"latency_ms": [1.0], "status": ["ok"]})
    groups = {
        "region=south": [wrong, right],
        "region=north": [right, wrong],
        "region=moon": [labelled(certain[:3], np.ones(3)), right],
    }
    found = measure_harm(PROJECT, "accuracy", frame, right, groups)
    assert found["gap:region=south"] == pytest.approx([0.8] * 20)
    assert found["gap:region=north"] == pytest.approx([-0.8] * 20)
    assert "gap:region=moon" not in found  # three rows say nothing


def test_a_column_that_names_each_row_has_no_groups() -> None:
    rows = pl.DataFrame({"id": [str(number) for number in range(100)]})
    inputs = pl.DataFrame({"who": [f"p{number}" for number in range(100)], "sex": ["f", "m", None, "f"] * 25})
    assert {name: held.height for name, held in cut_groups(rows, inputs, "sex").items()} == {
        "f": 50,
        "m": 25,
        "(missing)": 25,
    }
    with pytest.raises(Exception, match="they are no groups"):
        cut_groups(rows, inputs, "who")
