"""Two estimators of performance without outcomes: calibrated confidence of classes, a model of the loss of numbers."""

from typing import Protocol

import numpy as np
from msgspec import Struct

from penstock.core.project.types import Task
from penstock.evaluation.scores import Scores
from penstock.monitoring.answers import AnswerRows, pack_answers, reads_inputs, unpack_answers
from penstock.monitoring.budget import can_be_estimated
from penstock.stats.calibration import Calibration, calibrate
from penstock.stats.direct_loss import LossModel, learn_loss, pack_losses, unpack_losses
from penstock.stats.expected import Expectation, expect
from penstock.stats.metrics import Metric

LEAST_ROWS = 200  # with an outcome, to calibrate on
LEAST_OF_CLASS = 10  # of them, of each of two classes


class Estimator(Protocol):
    """Says what a metric is going to be."""

    def expect(self, metric: Metric, rows: AnswerRows) -> Expectation:
        """The expected value on these rows, whatever their outcomes."""
        ...


class ConfidenceEstimator(Struct, frozen=True):
    """The mean of what calibrated probabilities say of each row."""

    calibration: Calibration

    def expect(self, metric: Metric, rows: AnswerRows) -> Expectation:
        """As the protocol says."""
        scores = read_scores(rows)
        replicates = [self.calibration.read(scores, number) for number in range(len(self.calibration.curves))]
        return expect(metric, rows.outputs[metric.reads], replicates, keys=rows.keys)


class LossEstimator(Struct, frozen=True):
    """The mean of the errors that a model of errors expects."""

    model: LossModel

    def expect(self, metric: Metric, rows: AnswerRows) -> Expectation:
        """As the protocol says."""
        if rows.features is None:
            raise ValueError("answers about numbers were kept without their features")
        return self.model.expect(metric, rows.features, keys=rows.keys)


def why_not_estimated(task: Task, metric_name: str) -> str:
    """Why there can be no estimate of a metric; empty where there can."""
    if can_be_estimated(task, metric_name):
        return ""
    if task == "ranking":
        return "lists of items are not estimated: which other items were wanted is not known"
    return f"{metric_name} needs the outcomes themselves; mae, mse, rmse and mape are estimated"


def why_too_few(task: Task, rows: AnswerRows) -> str:
    """Why an estimator cannot be calibrated on these labelled rows yet; empty where it can."""
    if len(rows) < LEAST_ROWS:
        return f"{len(rows):,} of {LEAST_ROWS} outcomes that it takes to calibrate an estimator are known"
    if task == "binary":
        rarer = int(min(rows.truth.sum(), len(rows) - rows.truth.sum()))
        if rarer < LEAST_OF_CLASS:
            return f"{rarer} of {LEAST_OF_CLASS} outcomes of the rarer class that it takes are known"
    if task in ("binary", "multiclass") and not rows.outputs.keys() & {"score", "probabilities"}:
        return "the model gives no probabilities, which estimates are made from"
    return ""


def calibrate_estimator(task: Task, metric: Metric, rows: AnswerRows) -> bytes:
    """What an estimator is kept as, of labelled rows: the answers of classes; of numbers what was learned of errors.

    The latter holds no row: inputs leave with their retention, and what was learned of them stays.
    """
    if not reads_inputs(task):
        return pack_answers(rows)
    if rows.features is None or rows.is_category is None:
        raise ValueError("answers about numbers were kept without their features")
    losses = metric.terms(rows.truth, rows.outputs["prediction"])[:, 0]
    return pack_losses(learn_loss(rows.features, losses, rows.is_category))


def load_estimator(task: Task, calibration: bytes) -> Estimator:
    """The estimator that `calibrate_estimator` made; the same bytes give the same one."""
    if reads_inputs(task):
        return LossEstimator(unpack_losses(calibration))
    rows = unpack_answers(calibration)
    return ConfidenceEstimator(calibrate(read_scores(rows), rows.truth.astype(np.int64)))


def read_scores(rows: AnswerRows) -> np.ndarray:
    """What calibration reads: the score of two classes, or the probability of each."""
    return rows.outputs["score"] if "score" in rows.outputs else rows.outputs["probabilities"]


def read_held_out(scores: Scores) -> AnswerRows | None:
    """The test rows of a report on two classes as labelled answers; None where it does not hold their scores."""
    terms = scores.terms.get("roc_auc")  # label and score of each row
    if terms is None:
        return None
    truth, score = terms[~np.isnan(terms).any(axis=1)].T
    keys = np.arange(len(truth)) if scores.clusters is None or len(scores.clusters) != len(truth) else scores.clusters
    prediction = (score >= 0.5).astype(np.float64)
    return AnswerRows({"prediction": prediction, "score": score, "probabilities": score}, truth, keys)
