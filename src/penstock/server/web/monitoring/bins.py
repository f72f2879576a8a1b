"""The columns of a window beside the reference, as bins and shares; whoever knows them can fill these records."""

from msgspec import Struct

from penstock.datasets.types import Spread


class Distribution(Struct, frozen=True, kw_only=True):
    """A column of a window beside the reference."""

    column: str
    spread: Spread  # before: the reference, after: the window; values in order of the reference's share
    new: tuple[str, ...] = ()  # labels of bars that the reference lacks
    parts: dict[str, Spread] = {}  # of lists: all that can be drawn, by what it shows; the first is `spread`
    missing: tuple[float, float] = (0.0, 0.0)  # share of rows without a value
    note: str = ""


class WindowDistributions(Struct, frozen=True, kw_only=True):
    """All columns of a window."""

    columns: dict[str, Distribution] = {}
    rows: int = 0  # of the window that were read
    of_rows: int = 0  # that it has
    reference_rows: int = 0
    note: str = ""  # why there is nothing to compare with

    @property
    def is_sample(self) -> bool:
        """Whether only a part of the window was read."""
        return self.rows < self.of_rows
