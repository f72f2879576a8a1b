"""Gathers the profile of every column in one pass over the rows."""

from collections.abc import Sequence

import polars as pl

from penstock.datasets.frames.table import Batch, Table, sweep, table_of
from penstock.datasets.profile.column import ColumnGatherer
from penstock.datasets.profile.sample import RowSample
from penstock.datasets.types import Profile

_HASHES = 4 << 20  # of all columns together
_HASHES_OF_COLUMN = (16_384, 1 << 20)  # an error of 0.8 % at worst


def profile_frame(frame: pl.DataFrame) -> Profile:
    """The profile of rows in memory."""
    return profile_table(table_of(frame, "rows"))


def profile_table(table: Table) -> Profile:
    """The profile of a table, read once.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    gatherer = ProfileGatherer(table)
    sweep(table, [gatherer])
    return gatherer.profile()


class ProfileGatherer:
    """Takes in batches of a table; `profile` says what they looked like.

    Counts, missing values, smallest, largest, mean and deviation are exact. Distinct values are exact up to 10,000,
    and beyond for as long as the hashes of all columns stay below 32 MB; quantiles and, above 10,000 distinct values,
    the most frequent ones come from a sample of 65,536 rows or more.
    """

    def __init__(self, table: Table) -> None:
        self.columns: Sequence[str] = table.columns
        size = min(max(_HASHES // max(len(self.columns), 1), _HASHES_OF_COLUMN[0]), _HASHES_OF_COLUMN[1])
        self._gathered = [ColumnGatherer(name, dtype, size) for name, dtype in table.schema.items()]
        self._sample = RowSample()
        self._rows = 0

    def add(self, batch: Batch) -> None:
        """Take in the next rows."""
        asked = [
            expression.alias(f"{place}.{what}")
            for place, column in enumerate(self._gathered)
            for what, expression in column.ask(batch.frame.height).items()
        ]
        answers = batch.frame.select(asked)
        for place, column in enumerate(self._gathered):
            start = f"{place}."
            names = [name for name in answers.columns if name.startswith(start)]
            column.take({name.removeprefix(start): answers.item(0, name) for name in names})
        self._sample.add(batch, [column.sampled() for column in self._gathered if column.is_comparable])
        self._rows += batch.frame.height

    def profile(self) -> Profile:
        """What the rows so far look like."""
        sample = self._sample.collect()
        return Profile(self._rows, tuple(column.profile(sample, self._rows) for column in self._gathered))
