"""The records of a comparison of two versions."""

from typing import Literal

from msgspec import Struct

from penstock.datasets.types import ColumnProfile, SchemaChange, Spread, Value

RowChange = Literal["added", "removed", "changed"]
NOTEWORTHY = 0.01  # distance below which chance is not worth a line
FileChange = Literal["added", "removed", "changed"]


class RowSample(Struct, frozen=True):
    """A row that is in one version only, or differs: its key, or all of it where the dataset names no key.

    Of a row that changed, `values` has the key and what changed as it is now, `before` as it was.
    """

    change: RowChange
    values: dict[str, Value]
    before: dict[str, Value] = {}


class ChangedColumn(Struct, frozen=True):
    """A column whose values differ in rows that both versions have."""

    name: str
    rows: int


class RowDiff(Struct, frozen=True, kw_only=True):
    """How many rows came, went, and stayed under another form."""

    key: str | None  # None: whole rows were compared, so that a changed row counts as removed and added
    added: int
    removed: int
    changed: int
    same: int
    columns: tuple[ChangedColumn, ...] = ()  # the one with the most rows first
    samples: tuple[RowSample, ...] = ()


class FileDiff(Struct, frozen=True):
    """One file that differs."""

    path: str
    change: FileChange
    size_before: int | None  # bytes
    size_after: int | None


class ColumnDiff(Struct, frozen=True, kw_only=True):
    """How far the values of a column moved, with a picture of either spread.

    `distance` is between 0, the same spread of values, and 1, nothing in common; `compare_columns` says how it is
    measured, and `is_chance` whether as much is to be expected where nothing moved.
    """

    name: str
    distance: float
    is_chance: bool
    before: ColumnProfile
    after: ColumnProfile
    spread: Spread

    @property
    def is_noteworthy(self) -> bool:
        """Whether it moved, or nearly so."""
        return not self.is_chance or self.distance >= NOTEWORTHY


class DatasetDiff(Struct, frozen=True, kw_only=True):
    """Two versions of a dataset side by side."""

    dataset: str
    before: int
    after: int
    files: tuple[FileDiff, ...]
    same_files: int
    schema: tuple[SchemaChange, ...]
    rows: RowDiff | None  # None where they were not compared
    columns: tuple[ColumnDiff, ...]  # the ones that both have, the one that moved most first
