"""The estimator from window to window: calibrated, checked, withdrawn, calibrated anew."""

import math
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from penstock.core.ids import Digest
from penstock.core.project.types import Task
from penstock.monitoring.answers import AnswerRows, join_answers, pack_answers, unpack_answers
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.estimating import Chain, allowed_errors
from penstock.monitoring.estimators import calibrate_estimator, load_estimator, why_not_estimated
from penstock.monitoring.types import Estimate
from penstock.stats.metrics import find_metric


class Store(dict[Digest, bytes]):
    def keep(self, data: bytes) -> Digest:
        digest = Digest(f"{hash(data) & (2**256 - 1):064x}")
        self[digest] = data
        return digest

    def read(self, digest: Digest) -> bytes:
        return self[digest]


def chain(task: Task, metric: str, windows: list[AnswerRows], held_out: AnswerRows | None = None) -> Chain:
    store = Store()
    return Chain(
        task=task,
        metric=metric,
        estimates=[Estimate(metric=metric, material=store.keep(pack_answers(rows))) for rows in windows],
        names=[f"window {number}" for number in range(len(windows))],
        is_final=[False] * len(windows),
        comparable=[True] * len(windows),
        held_out=lambda: None if held_out is None else (held_out, "test rows"),
        budget=AlarmBudget(0.25, 90),
        read=store.read,
        keep=store.keep,
        fitted={},
    )


def classes(n: int, seed: int, *, power: float = 1.0, known: bool = True) -> AnswerRows:
    """Two classes; the true chance is the score to a power."""
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    truth = (rng.random(n) < score**power).astype(float) if known else np.full(n, math.nan)
    outputs = {"prediction": (score >= 0.5).astype(float), "score": score, "probabilities": score}
    return AnswerRows(outputs, truth, np.arange(n))


def numbers(n: int, seed: int, *, mean: float = 0.0, known: bool = True) -> AnswerRows:
    """Numbers whose error is three times as large where the first input is above 0."""
    rng = np.random.default_rng(seed)
    features = np.column_stack([rng.normal(mean, 1, n), rng.normal(size=n)])
    error = rng.normal(0, np.where(features[:, 0] > 0, 3.0, 1.0))
    prediction = features[:, 1] * 10
    truth = prediction + error if known else np.full(n, math.nan)
    mask = np.array([False, False, False])
    return AnswerRows({"prediction": prediction}, truth, np.arange(n), np.column_stack([features, prediction]), mask)


def test_without_held_out_rows_the_first_outcomes_calibrate_and_have_no_estimate() -> None:
    found = chain("binary", "accuracy", [classes(150, seed) for seed in range(4)]).follow()
    assert "150 of 200 outcomes" in found[0].note and "calibrated on the outcomes of this window" in found[1].note
    assert [held.value is not None for held in found] == [False, False, True, True]
    assert "up to window 1" in found[2].state.source


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_errors_of_numbers_are_estimated_where_harder_rows_come(metric: str) -> None:
    windows = [numbers(400, 1), *[numbers(400, seed, mean=1.5, known=False) for seed in range(2, 5)]]
    found = chain("regression", metric, windows, numbers(1500, 0)).follow()
    truth = numbers(20_000, 9, mean=1.5)
    error = truth.outputs["prediction"] - truth.truth
    measured = float(np.abs(error).mean()) if metric == "mae" else math.sqrt(float((error**2).mean()))
    for held in found[1:]:
        assert held.low is not None and held.high is not None and held.low < measured < held.high
        assert held.dropped  # a larger error is worse
    assert not found[0].dropped


def test_a_good_estimator_is_hardly_ever_withdrawn_however_many_windows_it_sees() -> None:
    runs = [
        chain("binary", "accuracy", [classes(200, 1000 * run + seed) for seed in range(25)], classes(1500, run))
        for run in range(1, 7)
    ]
    withdrawn = [any(held.state.withdrawn for held in run.follow()) for run in runs]
    assert sum(withdrawn) <= 1
    assert [round(allowed_errors(number), 1) for number in (1, 10, 100, 1000)] == [3.0, 3.6, 4.7, 5.5]


def test_after_a_change_it_is_withdrawn_at_once_and_comes_back_calibrated_anew() -> None:
    windows = [classes(500, seed) for seed in range(4)] + [classes(500, 10 + seed, power=8.0) for seed in range(8)]
    found = chain("binary", "accuracy", windows, classes(1500, 99)).follow()
    assert [held.value is not None for held in found[:5]] == [True] * 4 + [False]
    assert "window 4" in found[4].note and found[4].check is not None and found[4].check.distance > 3
    assert found[-1].value is not None and "outcomes of windows" in found[-1].state.source
    back = next(at for at in range(5, 12) if found[at].value is not None)
    assert all(found[at].note == found[at - 1].note for at in range(6, back))


def test_following_from_any_window_gives_what_following_from_the_first_gives() -> None:
    windows = [classes(300, seed, power=1.0 if seed < 4 else 2.5) for seed in range(9)]
    whole = chain("binary", "roc_auc", windows, classes(1500, 99))
    found = whole.follow()
    for start in (1, 4, 8):
        part = chain("binary", "roc_auc", windows, classes(1500, 99))
        part.estimates[:start] = found[:start]
        part.fitted.update(whole.fitted)
        assert part.follow(start) == found


def test_an_estimate_whose_inputs_are_gone_stays_as_it_is_and_later_ones_go_on_from_it() -> None:
    whole = chain("binary", "accuracy", [classes(300, seed) for seed in range(5)], classes(1500, 9))
    before = whole.follow()
    gone = [replace(held, material=None) for held in before[:2]]
    partly = replace(whole, estimates=[*gone, *before[2:]], is_final=[True, True, False, False, False])
    assert partly.follow() == [*gone, *before[2:]]


def test_of_numbers_no_row_is_kept_to_estimate_by() -> None:
    rows = numbers(300, 1)
    calibration = calibrate_estimator("regression", find_metric("mae"), rows)
    assert rows.features is not None and rows.features.astype("<f4")[7, 0].tobytes() not in calibration
    expected = load_estimator("regression", calibration).expect(find_metric("mae"), numbers(300, 2))
    assert 1 < expected.value < 3


def test_what_cannot_be_estimated_says_so() -> None:
    assert "lists of items" in why_not_estimated("ranking", "recall_at_20")
    assert "r2 needs the outcomes" in why_not_estimated("regression", "r2")
    assert why_not_estimated("multiclass", "f1_macro") == ""
    found = chain("binary", "accuracy", [classes(5, 1)], classes(1500, 2)).follow()
    assert found[0].note == "5 answers are too few to estimate from"


def test_answers_come_back_as_they_were_kept() -> None:
    rows = numbers(20, 1)
    again: Any = unpack_answers(pack_answers(rows))
    assert pack_answers(again) == pack_answers(rows)
    assert again.truth.tolist() == rows.truth.tolist() and again.is_category.tolist() == [False] * 3
    both = join_answers([rows, numbers(10, 2, known=False)])
    assert len(both) == 30 and len(both.labelled()) == 20 and len(set(both.keys.tolist())) == 30
