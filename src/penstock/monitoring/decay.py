"""Is more harm done than is put up with? A chain of windows, judged one after the other, whatever harm is measured.

Where the project gives no bar, the version's own past does: at each window the lower of two upper bounds of its mean
loss, and of what that was at any window before. One is of an interval around the first windows; the other of the
confidence sequence of all windows so far, which is wide at first and close after some dozens. As the bar does not rise
with the loss, one that creeps up does not take it along. The detector may bet against another bar at each window, as it
is known before the window's losses are.

The bar is what was accepted when the version went live, and not the best it ever did: a loss that was lower for long
and goes back to where it began is no harm. So the bar is never below what the first windows lost, and once the loss has
fallen below all that was before - by three standard errors, at whatever window the two parts are cut - the bar is again
that from before the fall, and stays there. To see a fall where there is none makes alarms only rarer.

Source: e-detectors of Shin, Ramdas and Rinaldo 2024, whose bets may be predictable; Waudby-Smith and Ramdas 2024 for
the confidence sequence, of which also the running intersection is one.
"""

import numpy as np
from msgspec import Struct, structs

from penstock.core.project.types import Task
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.types import LossEvidence
from penstock.stats.arrays import FloatArray
from penstock.stats.intervals import mean_interval
from penstock.stats.sequential.detector import LossDetector, watch_loss
from penstock.stats.sequential.evidence import Sums
from penstock.stats.sequential.means import upper_sequence

REFERENCE_WINDOWS = 2  # a single one may have been a holiday
REFERENCE_GROUPS = 100  # below this the bar would be so wide that nothing is ever found
FALL = 3.0  # standard errors by which the loss has to be lower than before, so that the bar is that from before
_ENDS = (1e-6, 1 - 1e-6)  # that a bar lies between


class Harm(Struct, frozen=True):
    """How one way of measuring harm is to be read.

    Attributes:
        bounded: values lie in 0 to 1; otherwise they are scaled by those of the first windows.
        signed: values are differences, and lie around 0.
        tolerated: the mean that is put up with; None for what the windows before showed.
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

    The first windows are held against nothing, where the project gives no bar; each later one is held against those
    before it. An alarm is evidence that is still there at the end of a window, or was in one whose mean is above the
    bar. Recomputing the whole chain gives the same result, so a window that late outcomes have changed needs no special
    case.
    """
    split = 0 if harm.tolerated is not None else _reference_end(windows)
    judged = [_as_reference(window.evidence) for window in windows[:split]]
    if split == len(windows):
        return judged
    reference = np.concatenate([window.losses for window in windows[:split]]) if split else np.zeros(0)
    scale = 1.0 if harm.bounded else float(np.quantile(np.abs(reference), 0.99)) or 1.0
    bounded = [_bound(harm, window.losses, scale) for window in windows]
    bars = _find_bars(harm, bounded, split, budget)
    rows = sum(map(len, bounded[: max(split, 1)])) / max(split, 1)
    detector = watch_loss(float(bars[0]), run_length=max(budget.run_length(rows), 2.0))
    for window, values, bar in zip(windows[split:], bounded[split:], bars.tolist(), strict=True):
        before = structs.replace(detector, tolerated=bar)
        after = before.update(values)
        crossed = after.alarmed and not before.alarmed
        lost = after.evidence >= 1 or (crossed and float(values.mean()) > bar)
        judged.append(_as_judged(harm, window.evidence, after, scale, lost))
        detector = after.capped(alarmed=lost)  # or what was lost in a month would be held against the next one
    return judged


def _find_bars(harm: Harm, windows: list[FloatArray], split: int, budget: AlarmBudget) -> FloatArray:
    """What is put up with in each window after the first ones; each of the two bounds has half of the level."""
    if harm.tolerated is not None:
        return np.full(len(windows), np.clip(harm.tolerated, *_ENDS))
    # One more group that lost everything: a reference without any loss does not prove that there never will be one.
    first = np.append(np.concatenate(windows[:split]), 1.0)
    highest = mean_interval(first, confidence=1 - budget.rate).high
    sums = np.cumsum([(len(held), held.sum(), np.square(held).sum()) for held in windows[:-1]], axis=0)[split - 1 :]
    so_far = Sums(n=sums[:, 0], total=sums[:, 1], squares=sums[:, 2])
    bars = np.minimum.accumulate(np.minimum(upper_sequence(so_far, alpha=budget.rate / 2), highest))
    since, seen = _find_fall(sums)
    bars[seen:] = bars[since]
    accepted = float(first[:-1].mean())
    return np.clip(np.maximum(bars, accepted), *_ENDS)


def _find_fall(sums: FloatArray) -> tuple[int, int]:
    """From when on the loss is lower than all that was before, and when that is first seen; the end twice where never.

    Args:
        sums: shape (k, 3), groups and their losses and squares of these, up to each window.
    """
    for seen in range(1, len(sums)):
        before, after = sums[:seen].T, (sums[seen] - sums[:seen]).T
        means, variances = zip(*[_moments(*held) for held in (before, after)], strict=True)
        errors = np.sqrt(variances[0] / before[0] + variances[1] / after[0])
        fallen = means[0] - means[1] - FALL * errors
        if fallen.max() > 0:
            return int(fallen.argmax()), seen
    return len(sums) - 1, len(sums)


def _moments(n: FloatArray, total: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means, and variances with one more group that lost everything: losses that were not seen may still come."""
    mean = (total + 1) / (n + 1)
    return total / n, (squares + 1) / (n + 1) - mean**2


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
