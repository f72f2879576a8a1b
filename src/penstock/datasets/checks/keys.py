"""Checks of keys: unique in the table, or known in another one; exact at any size, in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from penstock.core.errors import PenstockError
from penstock.datasets.checks.findings import SAMPLES, Findings, Subject, show_cells
from penstock.datasets.checks.spill import KeySpill, load
from penstock.datasets.frames.table import Batch
from penstock.datasets.types import Value

ReadKeys = Callable[[], Iterator[pl.DataFrame]]
_ROW = "__row"
_COUNTED_AT_ONCE = 2_000_000  # keys


class Unique:
    """Every key stands in one row; rows that lack a part of the key do not count."""

    def __init__(self, subject: Subject, *, keeps_rows: bool) -> None:
        self.subject = subject
        self.findings = Findings(keeps_rows=keeps_rows)
        self._keys = list(subject.columns)
        self._spill = KeySpill(self._keys)

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the key."""
        return self._keys

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""
        self._spill.add(numbered(batch, self._keys))

    def finish(self) -> None:
        """Let equal keys meet."""
        try:
            for _, pieces in self._spill.parts():
                twice = self._repeated(pieces)
                for piece in pieces if twice.height else ():
                    note_rows(self.findings, load(piece).join(twice, on=self._keys, how="semi"), self._keys)
        finally:
            self._spill.close()

    def _repeated(self, pieces: Sequence[Path | pl.DataFrame]) -> pl.DataFrame:
        """The keys of a part that stand in several rows, by counts that are put together now and then."""
        counts: list[pl.DataFrame] = []
        for piece in pieces:
            counts.append(load(piece).select(*self._keys, pl.lit(1, dtype=pl.UInt64).alias(_ROW)))
            if sum(frame.height for frame in counts) > _COUNTED_AT_ONCE:
                counts = [self._count(counts)]
        if not counts:
            return pl.DataFrame(schema=dict.fromkeys(self._keys, pl.Null))
        return self._count(counts).filter(pl.col(_ROW) > 1).select(self._keys)

    def _count(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        return pl.concat(frames).group_by(self._keys).agg(pl.col(_ROW).sum())


class References:
    """Every key stands in another table as well; rows that lack a part of the key do not count.

    Args:
        subject: the check.
        read: the keys of the other table, with as many columns, batch by batch.
        keeps_rows: whether all rows that break it are remembered.
    """

    def __init__(self, subject: Subject, read: ReadKeys, *, keeps_rows: bool) -> None:
        self.subject = subject
        self.findings = Findings(keeps_rows=keeps_rows)
        self._keys = list(subject.columns)
        self._read = read
        self._spill = KeySpill(self._keys)
        self._types: dict[str, pl.DataType] = {}

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the key."""
        return self._keys

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""
        keys = numbered(batch, self._keys)
        self._types = {name: keys.schema[name] for name in self._keys}
        self._spill.add(keys)

    def finish(self) -> None:
        """Look the keys up in the other table."""
        known = KeySpill(self._keys)
        try:
            self._look_up(known)
        except PenstockError as error:  # the other table is not there, or has no such column: a finding, not a crash
            self.findings.problem = error.message
        finally:
            known.close()
            self._spill.close()

    def _look_up(self, known: KeySpill) -> None:
        for frame in self._read():
            frame.columns = self._keys
            known.add(frame.drop_nulls().cast(pl.Schema(self._types), strict=False).unique())
        if known.is_on_disk or self._spill.is_on_disk:  # both are put apart in the same way
            known.flush()
            self._spill.flush()
        there = dict(known.parts())
        for number, pieces in self._spill.parts():
            keys = [load(piece) for piece in there.get(number, [])]
            other = pl.concat(keys).unique() if keys else pl.DataFrame(schema=self._types)
            for piece in pieces:
                note_rows(self.findings, load(piece).join(other, on=self._keys, how="anti"), self._keys)


def numbered(batch: Batch, keys: Sequence[str]) -> pl.DataFrame:
    """The whole keys of a batch with the number of their row in the table."""
    rows = pl.int_range(batch.start, batch.start + batch.frame.height, dtype=pl.Int64, eager=True).alias(_ROW)
    return batch.frame.select(keys).with_columns(rows).drop_nulls()


def note_rows(findings: Findings, rows: pl.DataFrame, keys: Sequence[str]) -> None:
    """Note rows that `numbered` numbered."""
    if not rows.height:
        return
    first = rows.bottom_k(SAMPLES, by=_ROW).sort(_ROW)
    samples: list[tuple[int, Value]] = [
        (int(first.item(place, _ROW)), show_cells(first, place, keys)) for place in range(first.height)
    ]
    findings.add_rows(rows.get_column(_ROW).to_numpy().astype(np.int64), samples)
