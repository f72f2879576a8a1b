"""The records of splits: how rows were parted, and what was found between the parts."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest, Ref
from penstock.datasets.types import CheckResult

SplitMethod = Literal["random", "stratified", "grouped", "time"]
LeakAction = Literal["block", "warn"]
MOST_PARTS = 20


class SplitRecipe(Struct, frozen=True, kw_only=True):
    """How rows are parted; the same recipe parts the same version in the same way.

    Attributes:
        by: `random` by key, `stratified` by the values of `column`, `grouped` so that rows with the same value of
            `column` stay together, or by `time`.
        parts: their names, in order; by time the earliest comes first.
        shares: of each part; they add up to 1. By time it may be empty where `cuts` are given.
        column: what the rows are stratified or grouped by.
        key: what tells rows apart; several columns with commas between them; None for the whole row.
        time: the column with the times of the rows.
        cuts: by time, the moments at which the second part begins, and the third ...
        gap: by time, rows within this length of time before a cut belong to no part.
        seed: another one parts in another way; the method by time has no use for it.
        entity: rows with the same value of this column are about the same thing, and may not be on two sides.
    """

    by: SplitMethod = "random"
    parts: tuple[str, ...] = ("train", "test")
    shares: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = ()
    column: str | None = None
    key: str | None = None
    time: str | None = None
    cuts: tuple[datetime, ...] = ()
    gap: timedelta | None = None
    seed: int = 0
    entity: str | None = None


class SplitPart(Struct, frozen=True, kw_only=True):
    """One side of a split."""

    name: str
    rows: int
    time_start: datetime | None = None
    time_end: datetime | None = None


class SplitDraft(Struct, frozen=True, kw_only=True):
    """A split that was made and stored, and may be recorded."""

    version: int
    recipe: SplitRecipe  # with the cuts that the shares came to
    tree: Digest  # holds `parts.parquet`: the number of each row's part
    parts: tuple[SplitPart, ...]
    left_out: int = 0  # rows of no part
    leaks: tuple[CheckResult, ...] = ()


class Split(Struct, frozen=True, kw_only=True):
    """A version's rows parted under a name, which never changes."""

    dataset: str
    version: int
    name: str
    recipe: SplitRecipe
    tree: Digest
    parts: tuple[SplitPart, ...]
    left_out: int
    leaks: tuple[CheckResult, ...]
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> Ref:
        """What lineage and audit call it."""
        return Ref("split", f"{self.dataset}/{self.version}/{self.name}")


class SplitLeakError(InvalidInputError):
    """Parts that know of each other what they must not.

    Attributes:
        leaks: all that was found.
    """

    def __init__(self, leaks: tuple[CheckResult, ...]) -> None:
        blocking = [leak for leak in leaks if leak.blocks]
        super().__init__(
            f"the parts leak into each other: {'; '.join(leak.message for leak in blocking)}",
            hint="split by group or by time, mend the data, or only warn with --leaks warn",
        )
        self.leaks = leaks
