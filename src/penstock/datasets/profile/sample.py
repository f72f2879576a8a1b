"""A sample of rows of a fixed size, from rows that pass by once."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.datasets.frames.table import Batch

SAMPLE_ROWS = 65_536  # at least, where there are as many: a share is then known to 0.75 % with a certainty of 99.9 %
_WHOLE = np.uint64(2**64 - 1)


class RowSample:
    """Each row is in it with the same chance, decided by its number alone: the same rows give the same sample.

    Between 65,536 and 131,072 rows are held, or all when there are fewer. Source: Bernoulli sampling with a rate that
    halves, Gibbons and Matias 1998.
    """

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._priorities: list[NDArray[np.uint64]] = []
        self._held = 0
        self._limit = _WHOLE

    def add(self, batch: Batch, wanted: list[pl.Expr]) -> None:
        """Take in what the expressions give of the next rows."""
        numbers = np.arange(batch.start, batch.start + batch.frame.height, dtype=np.uint64)
        priorities = _mix(numbers)
        if self._limit < _WHOLE:
            chosen = priorities <= self._limit
            frame, priorities = _compact(batch.frame.filter(pl.Series(chosen)).select(wanted)), priorities[chosen]
        else:
            frame = batch.frame.select(wanted)
        self._frames.append(frame)
        self._priorities.append(priorities)
        self._held += frame.height
        while self._held > 2 * SAMPLE_ROWS:
            self._halve()

    def collect(self) -> pl.DataFrame | None:
        """The rows, in their order; None before any came."""
        return pl.concat(self._frames) if self._frames else None

    def _halve(self) -> None:
        self._limit //= np.uint64(2)
        kept = [priorities <= self._limit for priorities in self._priorities]
        self._frames = [_compact(pl.concat(f.filter(pl.Series(k)) for f, k in zip(self._frames, kept, strict=True)))]
        self._priorities = [np.concatenate([p[k] for p, k in zip(self._priorities, kept, strict=True)])]
        self._held = self._frames[0].height


def _compact(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows without the texts of others: a text that was picked out keeps all of its neighbours in memory."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(pl.concat_str(pl.lit(""), name).alias(name) for name in texts)


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A number that looks like chance for each; the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
