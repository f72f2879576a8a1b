"""Is more harm done than is put up with? A chain of windows, judged one after the other, whatever harm is measured."""

import numpy as np
from msgspec import Struct

from penstock.core.project.types import Task
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.types import LossEvidence
from penstock.stats.arrays import FloatArray
from penstock.stats.intervals import mean_interval
from penstock.stats.sequential.detector import LossDetector, watch_loss

REFERENCE_WINDOWS = 2  # a single one may have been a holiday
REFERENCE_GROUPS = 100  # below this the bar would be so wide that nothing is ever found


class Harm(Struct, frozen=True):
    """How one way of measuring harm is to be read.

    Attributes:
        bounded: values lie in 0 to 1; otherwise they are scaled by those of the first windows.
        signed: values are differences, and lie around 0.
        tolerated: the mean that is put up with; None for what the first windows showed.
    """

    bounded: bool = True
    signed: bool = False
    tolerated: float | None = None


def loss_of(task: Task) -> Harm:
    """How the losses of a task are to be read: those of numbers have no bound."""
    return Harm(bounded=task in ("binary", "multiclass", "ranking"))


class WindowLosses(Struct, frozen=True):
    """The losses of one window, one per key, with the digest they are kept under."""

    losses: FloatArray
    evidence: LossEvidence  # mean, groups and digest


def judge_losses(harm: Harm, windows: list[WindowLosses], budget: AlarmBudget) -> list[LossEvidence]:
    """The evidence after each window of one model version, oldest first.

    The first windows give the bar, where the project gives none; each later one is held against it. Recomputing the
    whole chain gives the same result, so a window that late outcomes have changed needs no special case.
    """
    split = 0 if harm.tolerated is not None else _reference_end(windows)
    judged = [_as_reference(window.evidence) for window in windows[:split]]
    if split == len(windows):
        return judged
    reference = np.concatenate([window.losses for window in windows[:split]]) if split else np.zeros(0)
    scale = 1.0 if harm.bounded else float(np.quantile(np.abs(reference), 0.99)) or 1.0
    detector = _start(harm, _bound(harm, reference, scale), windows[: max(split, 1)], budget)
    for window in windows[split:]:
        before, after = detector, detector.update(_bound(harm, window.losses, scale))
        lost = after.evidence >= 1 or (after.alarmed and not before.alarmed)
        judged.append(_as_judged(harm, window.evidence, after, scale, lost))
        detector = after.capped(alarmed=lost)  # or what was lost in a month would be held against the next one
    return judged


def forget_judgement(evidence: LossEvidence) -> LossEvidence:
    """The losses of a window that is held against no others, and that no others are held against."""
    return LossEvidence(
        watch=evidence.watch, mean_loss=evidence.mean_loss, groups=evidence.groups, losses=evidence.losses
    )


def _reference_end(windows: list[WindowLosses]) -> int:
    """How many of the first windows the bar comes from; all of them while they are too few."""
    groups = 0
    for number, window in enumerate(windows, start=1):
        groups += len(window.losses)
        if number >= REFERENCE_WINDOWS and groups >= REFERENCE_GROUPS:
            return number
    return len(windows)


def _bound(harm: Harm, values: FloatArray, scale: float) -> FloatArray:
    """The values as losses between 0 and 1."""
    if harm.signed:
        return (1 + np.clip(values / scale, -1.0, 1.0)) / 2
    return np.minimum(values / scale, 1.0)


def _start(harm: Harm, reference: FloatArray, first: list[WindowLosses], budget: AlarmBudget) -> LossDetector:
    rows = sum(len(window.losses) for window in first) / len(first)
    tolerated = harm.tolerated
    if tolerated is None:
        # One more group that lost everything: a reference without any loss does not prove that there never will be one.
        tolerated = mean_interval(np.append(reference, 1.0), confidence=1 - 2 * budget.rate).high
    return watch_loss(float(np.clip(tolerated, 1e-6, 1 - 1e-6)), run_length=max(budget.run_length(rows), 2.0))


def _as_reference(evidence: LossEvidence) -> LossEvidence:
    return LossEvidence(
        watch=evidence.watch,
        mean_loss=evidence.mean_loss,
        groups=evidence.groups,
        losses=evidence.losses,
        is_reference=True,
    )


def _as_judged(harm: Harm, evidence: LossEvidence, detector: LossDetector, scale: float, lost: bool) -> LossEvidence:
    return LossEvidence(
        watch=evidence.watch,
        mean_loss=evidence.mean_loss,
        groups=evidence.groups,
        losses=evidence.losses,
        tolerated=(2 * detector.tolerated - 1 if harm.signed else detector.tolerated) * scale,
        evidence=min(detector.evidence, 1e12),
        run_length=detector.run_length,
        lost=lost,
    )
