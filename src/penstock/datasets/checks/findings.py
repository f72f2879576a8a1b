"""What checks find, gathered row by row and told as results."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.project.types import CheckAction
from penstock.datasets.checks.marks import RowMarks
from penstock.datasets.frames.table import Batch
from penstock.datasets.frames.values import shorten, to_value
from penstock.datasets.types import CheckResult, Sample, Value

SAMPLES = 5  # offending rows that a result names
TOLD = 3  # of these, in the message


class Subject(Struct, frozen=True, kw_only=True):
    """What a check is called, what it looks at, and what follows from a failure."""

    name: str
    column: str | None  # as results call it
    columns: tuple[str, ...]  # that it reads
    told: str  # what must hold
    action: CheckAction = "block"
    tolerance: float = 0.0  # the share of rows that may break it


RowOf = Callable[[str, int], int]  # the number that a row of a file has in reports


class RowCheck(Protocol):
    """A check that says of each row whether it holds."""

    subject: Subject
    findings: "Findings"

    @property
    def columns(self) -> Sequence[str]:
        """The columns it reads."""

    def add(self, batch: Batch) -> None:
        """Look at the next rows."""

    def finish(self) -> None:
        """Look at what could not be told before the last row was seen."""


class Findings:
    """The rows that break one check: how many, the first few, and all of them where they are to be put aside."""

    def __init__(self, *, keeps_rows: bool) -> None:
        self.failed = 0
        self.marks = RowMarks() if keeps_rows else None
        self.problem = ""  # why the check could not be made
        self._samples: list[tuple[int, Value]] = []

    def add_mask(self, batch: Batch, bad: pl.Series, columns: Sequence[str]) -> None:
        """Note the rows of a batch that a mask names."""
        count = int(bad.sum())
        if not count:
            return
        self.failed += count
        places = bad.arg_true()
        for place in places.head(max(SAMPLES - len(self._samples), 0)).to_list():
            self._samples.append((batch.start + place, show_cells(batch.frame, place, columns)))
        if self.marks is not None:
            self.marks.add(places.to_numpy().astype(np.int64) + batch.start)

    def add_rows(self, rows: NDArray[np.int64], samples: Sequence[tuple[int, Value]]) -> None:
        """Note rows by their number in the table, in any order; the samples are the first of them."""
        self.failed += len(rows)
        self._samples = sorted([*self._samples, *samples], key=lambda sample: sample[0])[:SAMPLES]
        if self.marks is not None:
            self.marks.add(rows)

    def tell(self, subject: Subject, rows: Mapping[str, int], row_of: RowOf | None = None) -> CheckResult:
        """The result, once every row was seen.

        Args:
            subject: the check.
            rows: how many rows each file has.
            row_of: what to call a row of a file; None: by its place there.
        """
        total = sum(rows.values())
        if self.problem:
            return verdict(subject.name, subject.column, subject.action, self.problem)
        places = [(*locate(row, rows), value) for row, value in self._samples]
        samples = tuple(Sample(file, row_of(file, row) if row_of else row, value) for file, row, value in places)
        return judge(subject, self.failed, total, samples)


def judge(subject: Subject, failed: int, total: int, samples: tuple[Sample, ...]) -> CheckResult:
    """The result of a check that so many rows break."""
    told = subject.told
    if failed:
        first = "; ".join(f"row {s.row} of {s.file}: {s.value!r}" for s in samples[:TOLD])
        told += f", and {failed:,} of {total:,} rows ({failed / total:.2%}) break this: {first}"
        if subject.tolerance:
            told += f"; {subject.tolerance:.2%} may do so"
    return CheckResult(
        name=subject.name,
        column=subject.column,
        action=subject.action,
        passed=failed <= subject.tolerance * total,
        message=told,
        rows=total,
        failed=failed,
        samples=samples,
    )


def verdict(name: str, column: str | None, action: CheckAction, problem: str) -> CheckResult:
    """A failure that is not about single rows; nothing can be put aside for it, so that it blocks instead."""
    acts: CheckAction = "block" if action == "quarantine" else action
    return CheckResult(name=name, column=column, action=acts, passed=False, message=problem)


def locate(row: int, rows: Mapping[str, int]) -> tuple[str, int]:
    """The file a row came from, and its number there; the first row of a file is 1."""
    for path, count in rows.items():
        if row < count:
            return path, row + 1
        row -= count
    raise IndexError(row)


def show_cells(frame: pl.DataFrame, place: int, columns: Sequence[str]) -> Value:
    """What a row holds in some columns: the value of one, or several with their names."""
    cells = {name: to_value(frame.item(place, name)) for name in columns}
    if len(cells) == 1:
        return shorten(*cells.values())
    return shorten(", ".join(f"{name}={'-' if value is None else value}" for name, value in cells.items()))
