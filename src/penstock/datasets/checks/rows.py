"""Checks that look at one row, or at one row and the one before it."""

from collections.abc import Callable, Sequence

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Monotonic
from penstock.datasets.checks.findings import Findings, Subject
from penstock.datasets.frames.table import Batch

FindBad = Callable[[pl.DataFrame], pl.Series]


class EachRow:
    """A rule that a row keeps or breaks by itself.

    Args:
        subject: the check.
        find: the rows of a batch that break it, as a mask; raises InvalidInputError where it does not suit the column.
        keeps_rows: whether all rows that break it are remembered.
    """

    def __init__(self, subject: Subject, find: FindBad, *, keeps_rows: bool) -> None:
        self.subject = subject
        self.findings = Findings(keeps_rows=keeps_rows)
        self._find = find

    @property
    def columns(self) -> Sequence[str]:
        """The columns it reads."""
        return self.subject.columns

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""
        if self.findings.problem:
            return
        try:
            bad = self._find(batch.frame)
        except InvalidInputError as error:  # the check does not suit the column; that is a finding, not a crash
            self.findings.problem = error.message
        else:
            self.findings.add_mask(batch, bad, self.subject.columns)

    def finish(self) -> None:
        """Nothing is left to look at."""


class Order:
    """Values that rise or fall from row to row, over all files; rows without a value are passed over."""

    def __init__(self, subject: Subject, direction: Monotonic, *, keeps_rows: bool) -> None:
        self.subject = subject
        self.findings = Findings(keeps_rows=keeps_rows)
        self._direction = direction
        self._last: pl.Series | None = None

    @property
    def columns(self) -> Sequence[str]:
        """The column it reads."""
        return self.subject.columns

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""
        if self.findings.problem:
            return
        values = batch.frame.get_column(self.subject.columns[0])
        if values.dtype.is_nested():
            self.findings.problem = f"{values.name} cannot be in order: its values are {values.dtype}"
            return
        known = values.forward_fill()
        before = known.shift(1)
        if self._last is not None:
            before = pl.concat([self._last, known]).forward_fill().head(len(known))
        self.findings.add_mask(batch, _breaks(before, values, self._direction).fill_null(False), self.subject.columns)
        if known.tail(1).null_count() == 0:
            self._last = known.tail(1)

    def finish(self) -> None:
        """Nothing is left to look at."""


def _breaks(before: pl.Series, value: pl.Series, direction: Monotonic) -> pl.Series:
    match direction:
        case "rising":
            return value < before
        case "falling":
            return value > before
        case "strictly_rising":
            return value <= before
        case _:
            return value >= before
