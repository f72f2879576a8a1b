"""Is the live model losing more than it did in its first windows? A chain of windows, judged one after the other."""

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


class WindowLosses(Struct, frozen=True):
    """The losses of one window, one per key, with the digest they are kept under."""

    losses: FloatArray
    evidence: LossEvidence  # mean, groups and digest


def judge_losses(task: Task, windows: list[WindowLosses], budget: AlarmBudget) -> list[LossEvidence]:
    """The evidence after each window of one model version, oldest first.

    The first windows give the bar; each later one is held against it. Recomputing the whole chain gives the same
    result, so a window that late outcomes have changed needs no special case.
    """
    split = _reference_end(windows)
    judged = [_as_reference(window.evidence) for window in windows[:split]]
    if split == len(windows):
        return judged
    reference = np.concatenate([window.losses for window in windows[:split]])
    scale = 1.0 if task in ("binary", "multiclass", "ranking") else float(np.quantile(reference, 0.99)) or 1.0
    detector = _start(np.minimum(reference / scale, 1.0), split, budget)
    for window in windows[split:]:
        before, detector = detector, detector.update(np.minimum(window.losses / scale, 1.0))
        lost = detector.evidence >= 1 or (detector.alarmed and not before.alarmed)
        judged.append(_as_judged(window.evidence, detector, scale, lost))
    return judged


def _reference_end(windows: list[WindowLosses]) -> int:
    """How many of the first windows the bar comes from; all of them while they are too few."""
    groups = 0
    for number, window in enumerate(windows, start=1):
        groups += len(window.losses)
        if number >= REFERENCE_WINDOWS and groups >= REFERENCE_GROUPS:
            return number
    return len(windows)


def _start(reference: FloatArray, windows: int, budget: AlarmBudget) -> LossDetector:
    # One more group that lost everything: a reference without any loss does not prove that there never will be one.
    tolerated = mean_interval(np.append(reference, 1.0), confidence=1 - 2 * budget.rate).high
    return watch_loss(
        float(np.clip(tolerated, 1e-6, 1 - 1e-6)), run_length=max(budget.run_length(len(reference) / windows), 2.0)
    )


def _as_reference(evidence: LossEvidence) -> LossEvidence:
    return LossEvidence(mean_loss=evidence.mean_loss, groups=evidence.groups, losses=evidence.losses, is_reference=True)


def _as_judged(evidence: LossEvidence, detector: LossDetector, scale: float, lost: bool) -> LossEvidence:
    return LossEvidence(
        mean_loss=evidence.mean_loss,
        groups=evidence.groups,
        losses=evidence.losses,
        tolerated=detector.tolerated * scale,
        evidence=min(detector.evidence, 1e12),
        lost=lost,
    )
