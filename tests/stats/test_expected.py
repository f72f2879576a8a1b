"""Expected metrics: equal to the truth on average, and as sure as they claim to be."""

import numpy as np
import pytest

from penstock.stats.calibration import calibrate
from penstock.stats.direct_loss import learn_loss
from penstock.stats.expected import expect
from penstock.stats.metrics import find_metric


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are the square of the probability of a one, and ones."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.5, 0.5, n)
    return chance**2, (rng.random(n) < chance).astype(np.int64)


@pytest.mark.parametrize("name", ["accuracy", "brier", "log_loss", "roc_auc", "f1", "average_precision"])
def test_what_is_measured_lies_as_far_from_the_estimate_as_the_estimate_says(name: str) -> None:
    calibration, metric, off = calibrate(*rows(3000, 0)), find_metric(name), []
    for seed in range(1, 26):
        score, truth = rows(400, seed)
        output = (score >= 0.5).astype(np.int64) if metric.reads == "prediction" else score
        replicates = [calibration.read(score, number) for number in range(len(calibration.curves))]
        found = expect(metric, output, replicates, keys=np.arange(400))
        off.append((found.value - metric.fn(truth, output)) / found.error)
    assert abs(np.mean(off)) < 1.2 and 0.5 < np.std(off) < 1.5  # one calibration for all: its error is common


def test_a_calibrated_score_is_the_share_of_ones() -> None:
    calibration = calibrate(*rows(20_000, 0))
    read = calibration.read(np.array([0.04, 0.25, 0.81]))
    assert read[:, 1] == pytest.approx([0.2, 0.5, 0.9], abs=0.05)
    assert read.sum(axis=1) == pytest.approx([1, 1, 1])


def test_several_classes_are_calibrated_one_by_one_and_add_up() -> None:
    rng = np.random.default_rng(1)
    chance = rng.dirichlet([1, 1, 1], 5000)
    truth = np.array([rng.choice(3, p=row) for row in chance])
    bold = chance**2 / (chance**2).sum(axis=1, keepdims=True)
    calibration = calibrate(bold, truth)
    read = calibration.read(bold)
    assert read.sum(axis=1) == pytest.approx(np.ones(5000))
    for name, output in (("accuracy", bold.argmax(axis=1)), ("f1_macro", bold.argmax(axis=1)), ("log_loss", bold)):
        metric = find_metric(name)
        replicates = [calibration.read(bold, number) for number in range(3)]
        found = expect(metric, output, replicates, keys=np.arange(5000))
        assert found.value == pytest.approx(metric.fn(truth, output), abs=0.03)


def test_rows_of_few_customers_are_less_sure() -> None:
    calibration, (score, _) = calibrate(*rows(3000, 0)), rows(400, 1)
    replicates = [calibration.read(score, number) for number in range(3)]
    output = (score >= 0.5).astype(np.int64)
    apart, alike = (
        expect(find_metric("accuracy"), output, replicates, keys=keys) for keys in (np.arange(400), np.arange(400) // 4)
    )
    assert alike.outcomes == pytest.approx(2 * apart.outcomes)


@pytest.mark.parametrize("name", ["mae", "mse", "rmse"])
def test_where_errors_are_large_is_learned(name: str) -> None:
    metric, off = find_metric(name), []

    def errors(n: int, seed: int, mean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        features = np.column_stack([rng.normal(mean, 1, n), rng.integers(0, 3, n)])
        return features, rng.normal(0, np.where(features[:, 0] > 0, 3.0, 1.0))

    features, error = errors(3000, 0)
    model = learn_loss(features, metric.terms(np.zeros(3000), error)[:, 0], np.array([False, True]))
    for seed in range(1, 9):
        features, error = errors(400, seed, mean=1.0)  # rows of the harder kind
        found = model.expect(metric, features, keys=np.arange(400))
        off.append((found.value - metric.fn(np.zeros(400), error)) / found.error)
    assert abs(np.mean(off)) < 1.2 and 0.4 < np.std(off) < 1.6
