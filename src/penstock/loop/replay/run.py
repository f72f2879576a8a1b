"""A history lived through under one policy: test, then train, chunk by chunk; all fits are counted."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from threadpoolctl import threadpool_limits

from penstock.loop.replay.history import History
from penstock.loop.replay.learner import Learner
from penstock.loop.replay.live import Deployed, Moment, begin
from penstock.loop.replay.policies import Policy
from penstock.stats.arrays import FloatArray
from penstock.stats.auc import auc_parts


class ChunkResult(Struct, frozen=True, kw_only=True):
    """How one chunk went."""

    rows: int
    score: float
    refit: bool = False  # another model answered from here on
    note: str = ""  # what that one learned from


class PolicyResult(Struct, frozen=True, kw_only=True):
    """How a whole history went under one policy."""

    score: float  # of all rows after the warm-up
    metric: str  # accuracy, or mae
    auc: float | None  # area under the ROC curve over all these rows; None but for two classes
    refits: int  # times that another model took over
    fits: int  # models fitted in all: the first one, probes, and those that were refused
    fit_cpu_s: float
    chunks: list[ChunkResult]


def replay(history: History, policy: Policy, progress: Callable[[], None] = lambda: None) -> PolicyResult:
    """Live through a history under a policy.

    Args:
        history: the rows.
        policy: one that has seen nothing yet.
        progress: is called after each chunk.
    """
    with threadpool_limits(limits=1):  # CPU seconds of one thread can be compared
        return _live_through(history, policy, progress)


def _live_through(history: History, policy: Policy, progress: Callable[[], None]) -> PolicyResult:
    learner = Learner(history)
    champion = begin(history, learner)
    outputs = np.full((len(history), len(history.classes)) if history.classes else len(history), np.nan)
    taken: list[Deployed | None] = []
    for chunk in range(history.chunks):
        moment = Moment(history=history, chunk=chunk, champion=champion, outputs=outputs, learner=learner)
        found = policy.act(moment) if chunk else None
        champion = found or champion
        rows = slice(history.start(chunk), history.start(chunk + 1))
        outputs[rows] = champion.model.predict(history.features[rows])
        taken.append(found)
        progress()
    return _report(history, outputs, taken, learner)


def _report(history: History, outputs: FloatArray, taken: list[Deployed | None], learner: Learner) -> PolicyResult:
    values = _values(history, outputs)
    bounds = [history.start(chunk) for chunk in range(history.chunks + 1)]
    chunks = [
        ChunkResult(
            rows=last - first,
            score=float(values[first:last].mean()),
            refit=found is not None,
            note=found.note if found else "",
        )
        for first, last, found in zip(bounds, bounds[1:], taken, strict=False)
    ]
    return PolicyResult(
        score=float(values[history.warmup :].mean()),
        metric="accuracy" if history.classes else "mae",
        auc=_area(history, outputs),
        refits=sum(chunk.refit for chunk in chunks),
        fits=learner.fits,
        fit_cpu_s=learner.cpu_s,
        chunks=chunks,
    )


def _values(history: History, outputs: FloatArray) -> FloatArray:
    """What each row adds to the score; NaN in the warm-up."""
    if not history.classes:
        return np.abs(outputs - history.labels)
    return np.asarray(outputs.argmax(axis=1) == history.labels, dtype=np.float64)


def _area(history: History, outputs: FloatArray) -> float | None:
    truth = history.labels[history.warmup :] == 1
    if len(history.classes) != 2 or truth.all() or not truth.any():
        return None
    return float(auc_parts(truth, outputs[history.warmup :, 1])[truth].mean())
