"""Golden predictions: sample rows with what the model answered when it was saved, checked again at each load."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

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


def choose_places(count: int) -> range:
    """Which rows of a sample are kept: up to 16, evenly spread."""
    step = max(1, count // ROWS)
    return range(0, count, step)[:ROWS]


def to_matrix(rows: Rows, names: Sequence[str]) -> NDArray[np.float64]:
    """Columns of numbers as a matrix in the order of `names`; None is NaN."""
    columns = [[math.nan if value is None else float(value) for value in rows[name]] for name in names]
    return np.array(columns, dtype=np.float64).T


def to_rows(columns: Mapping[str, NDArray[Any]]) -> Rows:
    """Arrays as plain values."""
    return {name: values.tolist() for name, values in columns.items()}


def write_golden(folder: Path, golden: Golden) -> None:
    """Keep rows and answers in a model directory."""
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(codec.encode(golden))


def read_golden(folder: Path) -> Golden:
    """What `write_golden` kept.

    Raises:
        CorruptDataError: it is missing or damaged.
    """
    try:
        return codec.decode((folder / FILE).read_bytes(), Golden)
    except (OSError, InvalidInputError) as error:
        raise CorruptDataError(f"the golden predictions of the model in {folder} cannot be read: {error}") from error


def find_difference(expected: Rows, got: Rows, within: float = 0.0) -> str:
    """Where answers differ from those kept, in words; empty when they agree.

    Floats may differ by a millionth; labels, items and their order must be the same.

    Args:
        expected: what was kept.
        got: what is answered now.
        within: the difference that floats may have beside that, of a form that computes in single precision.
    """
    if set(got) != set(expected):
        return f"the columns are {sorted(got)} and were {sorted(expected)}"
    for name, values in expected.items():
        if len(values) != len(got[name]):
            return f"there are {len(got[name])} answers and were {len(values)}"
        for row, (before, now) in enumerate(zip(values, got[name], strict=True)):
            if not _is_same(before, now, max(within, _ABSOLUTE)):
                return f"row {row} has {name} {now!r} and had {before!r}"
    return ""


def _is_same(before: Any, now: Any, absolute: float) -> bool:
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(_is_same(a, b, absolute) for a, b in zip(before, now, strict=True))
    if isinstance(now, float) and not math.isfinite(now):
        return before is None  # JSON has neither NaN nor infinity
    if isinstance(before, float) and isinstance(now, float):
        return math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=absolute)
    return bool(before == now) and isinstance(before, bool) == isinstance(now, bool)
