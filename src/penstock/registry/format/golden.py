"""Golden predictions: sample rows with what the model answered when it was saved, checked again at each load."""

import math
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import CorruptDataError, InvalidInputError

FILE = Path("penstock") / "golden.json"
ROWS = 16
TOLERANCE = 1e-6  # relative, of floats; another machine's arithmetic may differ in the last digits
_ABSOLUTE = 1e-12  # of floats near zero

Rows = dict[str, list[Any]]


class Golden(Struct, frozen=True):
    """Rows by column, and the answers by column."""

    inputs: Rows
    outputs: Rows


def choose_rows(sample: pl.DataFrame) -> pl.DataFrame:
    """Up to 16 rows, evenly spread over the sample, as they come back from JSON."""
    step = max(1, sample.height // ROWS)
    return to_frame(codec.decode(codec.encode(to_rows(sample.gather_every(step).head(ROWS))), Rows))


def to_rows(frame: pl.DataFrame) -> Rows:
    """The frame as plain values."""
    return frame.to_dict(as_series=False)


def to_frame(rows: Rows) -> pl.DataFrame:
    """Plain values as a frame, numbers widened where a column mixes them."""
    return pl.DataFrame(rows, strict=False)


def write_golden(folder: Path, inputs: pl.DataFrame, outputs: pl.DataFrame) -> None:
    """Keep rows and answers in a model directory."""
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(codec.encode(Golden(to_rows(inputs), to_rows(outputs))))


def read_golden(folder: Path) -> Golden:
    """What `write_golden` kept.

    Raises:
        CorruptDataError: it is missing or damaged.
    """
    try:
        return codec.decode((folder / FILE).read_bytes(), Golden)
    except (OSError, InvalidInputError) as error:
        raise CorruptDataError(f"the golden predictions of the model in {folder} cannot be read: {error}") from error


def find_difference(expected: Rows, answered: pl.DataFrame) -> str:
    """Where the answers differ from those kept, in words; empty when they agree.

    Floats may differ by a millionth; labels, items and their order must be the same.
    """
    got = to_rows(answered)
    if set(got) != set(expected):
        return f"the columns are {sorted(got)} and were {sorted(expected)}"
    for name, values in expected.items():
        if len(values) != len(got[name]):
            return f"there are {len(got[name])} answers and were {len(values)}"
        for row, (before, now) in enumerate(zip(values, got[name], strict=True)):
            if not _is_same(before, now):
                return f"row {row} has {name} {now!r} and had {before!r}"
    return ""


def _is_same(before: Any, now: Any) -> bool:
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_is_same, before, now))
    if isinstance(now, float) and not math.isfinite(now):
        return before is None  # JSON has neither NaN nor infinity
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=_ABSOLUTE)
    return bool(before == now) and isinstance(before, bool) == isinstance(now, bool)
