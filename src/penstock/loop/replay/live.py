"""What a policy may see when it acts: what a live system would know by then, and no row more."""

import numpy as np
from msgspec import Struct

from penstock.loop.replay.history import History
from penstock.loop.replay.learner import Learner, Model
from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.losses import class_losses, number_losses, number_scale


class Deployed(Struct, frozen=True, kw_only=True):
    """A model that answers, and what it was made of."""

    model: Model
    rows: IntArray  # that it learned from
    since: int = 0  # the chunk from which it answers
    note: str = ""  # the rows in words, and why


class Moment(Struct, frozen=True, kw_only=True):
    """The start of a chunk.

    Attributes:
        history: all rows; a policy reads none from `known` on.
        chunk: its number; 0 comes right after the warm-up.
        champion: what answers until now.
        outputs: of whatever answered, shape (n, ...); those of later rows are not there yet.
        learner: what fits models, and counts them.
    """

    history: History
    chunk: int
    champion: Deployed
    outputs: FloatArray
    learner: Learner

    @property
    def known(self) -> int:
        """Rows whose outcome is known."""
        return self.history.known(self.chunk)

    @property
    def newest(self) -> slice | None:
        """The rows whose outcomes came last, a chunk of them; None before the first came."""
        number = self.chunk - 1 - self.history.delay
        return None if number < 0 else slice(self.history.start(number), self.history.start(number + 1))

    def has_answered(self, rows: slice) -> bool:
        """Whether the champion answered some rows; what another one answered before it says nothing of it."""
        return bool(rows.start >= self.history.start(self.champion.since))

    def last(self, count: int, *, before: int | None = None) -> IntArray:
        """The last rows with a known outcome, or those before a row."""
        end = self.known if before is None else before
        return np.arange(max(0, end - count), end)

    def fit(self, rows: IntArray, note: str) -> Deployed:
        """A full fit, ready to answer from this chunk on."""
        return Deployed(model=self.learner.fit(rows), rows=rows, since=self.chunk, note=note)

    def errors(self, rows: slice) -> FloatArray:
        """What the answers of some rows lost, between 0 and 1: 1 of a wrong class; of numbers, the error to scale."""
        if self.history.classes:
            return np.asarray(self.outputs[rows].argmax(axis=1) != self.history.labels[rows], dtype=np.float64)
        return self.losses(self.outputs[rows], rows)

    def losses(self, outputs: FloatArray, rows: slice) -> FloatArray:
        """What some answers to rows lose, by all that a release is judged by."""
        labels = self.history.labels[rows]
        if self.history.classes:
            return class_losses(labels.astype(np.int64), outputs)
        return number_losses(labels.astype(np.float64), outputs, number_scale(self._warmup_labels()))

    def _warmup_labels(self) -> FloatArray:
        return self.history.labels[: self.history.warmup].astype(np.float64)


def begin(history: History, learner: Learner) -> Deployed:
    """The model of the warm-up rows, from which every policy starts."""
    rows = np.arange(history.warmup)
    return Deployed(model=learner.fit(rows), rows=rows, note="the warm-up")
