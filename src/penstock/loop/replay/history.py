"""A table as the history of a live model: rows in the order they came, as numbers, with what was known at the start."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import check_column
from penstock.datasets.inspect import guess_task
from penstock.stats.arrays import BoolArray, FloatArray

ReplayTask = Literal["binary", "multiclass", "regression"]
SMALLEST_CHUNK = 25  # rows; a share of fewer says nothing
FEWEST_WARMUP = 20  # rows to learn from before the first prediction
MOST_VALUES = 250  # of a text column that the learner is told apart; later ones are unknown to it, as are new ones


class Setup(Struct, frozen=True, kw_only=True):
    """What is replayed, and how.

    Attributes:
        label: the column to predict; rows without a value in it are left out.
        task: None to guess it from the label.
        time: the column by which rows are put in order; it is no feature. None: they stand in order.
        drop: columns that are no features.
        chunks: how many times the policies may act.
        warmup: the share of the rows, the first ones, that the first model learns from.
        delay: how many chunks later outcomes are known.
    """

    label: str
    task: ReplayTask | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    chunks: int = 40
    warmup: float = 0.1
    delay: int = 0

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            InvalidInputError: a number lies outside its range.
        """
        if self.chunks < 1:
            raise InvalidInputError(f"{self.chunks} chunks cannot be replayed", hint="give 1 or more", field="chunks")
        if not 0 < self.warmup < 1:
            raise InvalidInputError(
                f"a warm-up of {self.warmup:g} leaves nothing to learn from or to replay",
                hint="give a share of the rows between 0 and 1, as in 0.1",
                field="warmup",
            )
        if self.delay < 0:
            raise InvalidInputError(f"outcomes cannot come {self.delay} chunks late", hint="give 0 or more")


class History(Struct, frozen=True, kw_only=True):
    """Rows in the order they came, as arrays."""

    task: ReplayTask
    features: FloatArray  # shape (n, d); NaN is a value that the learner does not know
    names: tuple[str, ...]  # d of them
    is_category: tuple[bool, ...]  # d of them
    missing: BoolArray  # shape (n, d): there was no value
    labels: NDArray[np.float64] | NDArray[np.int64]  # shape (n,): class codes, or numbers
    classes: tuple[str, ...]  # by their code; empty for numbers
    warmup: int  # rows that the first model learns from
    chunk: int  # rows between two decisions
    delay: int  # chunks until outcomes are known

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def chunks(self) -> int:
        """How many times a policy may act."""
        return math.ceil((len(self) - self.warmup) / self.chunk)

    def start(self, chunk: int) -> int:
        """The first row of a chunk; the end of the one before it."""
        return min(self.warmup + chunk * self.chunk, len(self))

    def known(self, chunk: int) -> int:
        """Rows whose outcome is known when a chunk begins."""
        return self.start(max(0, chunk - self.delay))


def read_history(frame: pl.DataFrame, setup: Setup) -> History:
    """A table as a history.

    Texts and other values that are no numbers become codes in the order in which the warm-up rows bring them; a missing
    number becomes one below the smallest of the warm-up rows, as a window may hold none else, which learners refuse.

    Raises:
        InvalidInputError: a column is not there, or there is too little to replay.
    """
    setup.check()
    for column in (setup.label, *((setup.time,) if setup.time else ()), *setup.drop):
        check_column(column, frame.columns, "the table")
    kept = frame.filter(pl.col(setup.label).is_not_null())
    if kept.schema[setup.label].is_float():
        kept = kept.filter(pl.col(setup.label).is_not_nan())
    if setup.time:
        kept = kept.filter(pl.col(setup.time).is_not_null()).sort(setup.time, maintain_order=True)
    warmup = int(kept.height * setup.warmup)
    if warmup < FEWEST_WARMUP or kept.height == warmup:
        raise InvalidInputError(
            f"{kept.height:,} rows with a label leave {warmup:,} to warm up on, and it takes {FEWEST_WARMUP}",
            hint="give more rows, or a larger --warmup",
        )
    task, labels, classes = _read_labels(kept.get_column(setup.label), setup.task)
    out = {setup.label, setup.time, *setup.drop}
    features = [_read_feature(column, warmup) for column in kept.get_columns() if column.name not in out]
    if not features:
        raise InvalidInputError("no column is left to learn from", hint="drop fewer")
    return History(
        task=task,
        features=np.column_stack([values for values, _ in features]),
        names=tuple(name for name in kept.columns if name not in out),
        is_category=tuple(is_category for _, is_category in features),
        missing=np.column_stack([_is_missing(column) for column in kept.get_columns() if column.name not in out]),
        labels=labels,
        classes=classes,
        warmup=warmup,
        chunk=max(SMALLEST_CHUNK, math.ceil((kept.height - warmup) / setup.chunks)),
        delay=setup.delay,
    )


def _read_labels(
    column: pl.Series, task: ReplayTask | None
) -> tuple[ReplayTask, NDArray[np.float64] | NDArray[np.int64], tuple[str, ...]]:
    chosen = task or _guess(column)
    if chosen == "regression":
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            raise InvalidInputError(
                f"label {column.name!r} holds {column.dtype}, and regression takes numbers",
                hint="--task multiclass",
            )
        return chosen, column.cast(pl.Float64).to_numpy(), ()
    values = column.unique().sort()
    if values.len() < 2 or (chosen == "binary" and values.len() != 2):
        raise InvalidInputError(
            f"label {column.name!r} has {values.len():,} different value(s), which is no {chosen} task",
            hint="--task multiclass takes three or more, --task regression numbers" if values.len() > 1 else "",
            field=column.name,
        )
    return chosen, _codes(column, values), tuple(str(value) for value in values)


def _guess(column: pl.Series) -> ReplayTask:
    task, _ = guess_task(column)
    return "regression" if task not in ("binary", "multiclass") else task


def _read_feature(column: pl.Series, warmup: int) -> tuple[FloatArray, bool]:
    """A column as numbers, and whether they are codes."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        numbers = column.cast(pl.Float64).fill_nan(None)
        if numbers.null_count():
            lowest = numbers.head(warmup).min()
            numbers = numbers.fill_null((float(lowest) if isinstance(lowest, float) else 0.0) - 1)
        return numbers.to_numpy(), False
    texts = column.cast(pl.String) if not column.dtype.is_nested() else column.map_elements(str, pl.String)
    known = texts.head(warmup).drop_nulls().unique(maintain_order=True).head(MOST_VALUES)
    return _known_codes(texts, known), True


def _is_missing(column: pl.Series) -> BoolArray:
    absent = column.is_null() | column.is_nan().fill_null(False) if column.dtype.is_float() else column.is_null()
    return absent.to_numpy()


def _codes(column: pl.Series, values: Sequence[object] | pl.Series) -> NDArray[np.int64]:
    return _known_codes(column, pl.Series(values)).astype(np.int64)


def _known_codes(column: pl.Series, values: pl.Series) -> FloatArray:
    """The place of each value among some; NaN of one that is not there."""
    places = pl.DataFrame({"value": values, "place": np.arange(values.len(), dtype=np.float64)})
    found = pl.DataFrame({"value": column}).join(places, on="value", how="left", maintain_order="left")
    return found.get_column("place").fill_null(float("nan")).to_numpy()
