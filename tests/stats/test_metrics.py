import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from penstock.core.errors import InvalidInputError
from penstock.core.project.metrics import METRICS as PROJECT_METRICS
from penstock.core.project.types import Task
from penstock.stats.metrics import METRICS, TASKS, default_metrics, find_metric, primary_metric

rng = np.random.default_rng(7)
N = 400
LABELS = (rng.random(N) < 0.3).astype(int)
SCORES = np.clip(np.round(0.3 + 0.2 * (LABELS - 0.3) + 0.2 * rng.standard_normal(N), 2), 0.01, 0.99)  # with ties
CALLS = (SCORES > 0.4).astype(int)
CLASSES = rng.integers(0, 4, N)
GUESSES = np.where(rng.random(N) < 0.6, CLASSES, rng.integers(0, 4, N))
PROBABILITIES = rng.dirichlet(np.ones(4), N)
NUMBERS = rng.normal(10, 3, N)
FORECASTS = NUMBERS + rng.normal(0, 1, N)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("roc_auc", reference.roc_auc_score(LABELS, SCORES)),
        ("average_precision", reference.average_precision_score(LABELS, SCORES)),
        ("log_loss", reference.log_loss(LABELS, SCORES)),
        ("brier", reference.brier_score_loss(LABELS, SCORES)),
    ],
)
def test_metrics_of_scores_agree_with_scikit_learn(name: str, expected: float) -> None:
    assert find_metric(name).fn(LABELS, SCORES) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", reference.accuracy_score(LABELS, CALLS)),
        ("f1", reference.f1_score(LABELS, CALLS)),
        ("precision", reference.precision_score(LABELS, CALLS)),
        ("recall", reference.recall_score(LABELS, CALLS)),
        ("f1_macro", reference.f1_score(LABELS, CALLS, average="macro")),
        ("balanced_accuracy", reference.balanced_accuracy_score(LABELS, CALLS)),
    ],
)
def test_metrics_of_two_classes_agree_with_scikit_learn(name: str, expected: float) -> None:
    assert find_metric(name).fn(LABELS, CALLS) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("accuracy", GUESSES, reference.accuracy_score(CLASSES, GUESSES)),
        ("f1_macro", GUESSES, reference.f1_score(CLASSES, GUESSES, average="macro")),
        ("balanced_accuracy", GUESSES, reference.balanced_accuracy_score(CLASSES, GUESSES)),
        ("log_loss", PROBABILITIES, reference.log_loss(CLASSES, PROBABILITIES)),
        ("brier", PROBABILITIES, ((PROBABILITIES - np.eye(4)[CLASSES]) ** 2).sum(1).mean()),
    ],
)
def test_metrics_of_many_classes_agree_with_scikit_learn(name: str, output: object, expected: float) -> None:
    assert find_metric(name).fn(CLASSES, output) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mae", reference.mean_absolute_error(NUMBERS, FORECASTS)),
        ("mse", reference.mean_squared_error(NUMBERS, FORECASTS)),
        ("rmse", reference.root_mean_squared_error(NUMBERS, FORECASTS)),
        ("mape", reference.mean_absolute_percentage_error(NUMBERS, FORECASTS)),
        ("r2", reference.r2_score(NUMBERS, FORECASTS)),
    ],
)
def test_metrics_of_numbers_agree_with_scikit_learn(name: str, expected: float) -> None:
    assert find_metric(name).fn(NUMBERS, FORECASTS) == pytest.approx(expected, rel=1e-10)


@given(st.data())
def test_weights_mean_that_a_row_stands_there_more_than_once(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["roc_auc", "average_precision", "f1", "accuracy", "brier", "f1_macro"]))
    n = data.draw(st.integers(2, 30))
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    metric = find_metric(name)
    draw = st.integers(0, 1) if metric.reads == "prediction" else st.sampled_from([0.0, 0.1, 0.5, 0.9])
    output = np.array(data.draw(st.lists(draw, min_size=n, max_size=n)))
    repeated = np.repeat(np.arange(n), counts)
    weighted = float(metric.combine(metric.terms(labels, output), counts[None, :].astype(float))[0])
    if len(repeated):
        spelled_out = metric.fn(labels[repeated], output[repeated])
        assert weighted == pytest.approx(spelled_out, nan_ok=True)


def test_a_metric_that_makes_no_sense_on_the_rows_is_nan_rather_than_a_number() -> None:
    assert math.isnan(find_metric("roc_auc").fn([1, 1], [0.2, 0.3]))
    assert math.isnan(find_metric("average_precision").fn([0, 0], [0.2, 0.3]))
    assert math.isnan(find_metric("r2").fn([2.0, 2.0], [1.0, 3.0]))
    assert math.isnan(find_metric("mape").fn([0.0], [1.0]))
    assert math.isnan(find_metric("recall_at_5").fn([[]], [["a"]]))


def test_mape_leaves_out_rows_whose_truth_is_zero() -> None:
    assert find_metric("mape").fn([0.0, 10.0], [5.0, 9.0]) == pytest.approx(0.1)


def test_rows_compare_in_pairs_only_where_the_metric_is_their_mean() -> None:
    assert find_metric("mae").per_row([1.0, 2.0], [1.5, 4.0]).tolist() == [0.5, 2.0]  # type: ignore[union-attr]
    assert find_metric("roc_auc").per_row(LABELS, SCORES) is None
    assert find_metric("rmse").per_row([1.0], [2.0]) is None


def test_an_unknown_metric_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(InvalidInputError, match="did you mean 'roc_auc'"):
        find_metric("roc_acu")
    with pytest.raises(InvalidInputError, match="did you mean 'recall_at_10'"):
        find_metric("recal_at_10")
    with pytest.raises(InvalidInputError, match="did you mean 'ranking'"):
        primary_metric("rankin")


@pytest.mark.parametrize("task", TASKS)
def test_the_default_metrics_of_each_task_exist_and_fit_it(task: str) -> None:
    assert all(task in find_metric(name).tasks for name in default_metrics(task))
    assert primary_metric(task) in default_metrics(task)


def test_rows_that_do_not_match_are_refused() -> None:
    for metric in METRICS.values():
        with pytest.raises(InvalidInputError, match="the rows do not match"):
            metric.fn(np.array([0, 1, 1]), np.array([0.5, 0.5]))


@pytest.mark.parametrize("task", TASKS)
def test_a_project_file_knows_the_metrics_that_can_be_computed(task: Task) -> None:
    named = {name for name in PROJECT_METRICS[task] if task in find_metric(name).tasks}
    assert named == set(PROJECT_METRICS[task])
    if task != "ranking":
        assert named == {metric.name for metric in METRICS.values() if task in metric.tasks}
