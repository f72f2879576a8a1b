"""Points of metrics as the source has them, as arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.tracking.histories import History

LARGEST = np.finfo(np.float64).max  # what MLflow's databases keep for infinity
_YEARS_MS = (-62_135_596_800_000, 253_402_300_799_000)  # 1 to 9999
_STEPS = (-(2**63), 2**63 - 1)


def to_history(where: str, at_ms: Sequence[int], steps: Sequence[int], values: Sequence[float]) -> History:
    """The points of one metric; InvalidInputError, which names `where`, when one cannot be kept."""
    _check(where, "time in milliseconds since 1970", at_ms, _YEARS_MS)
    _check(where, "step", steps, _STEPS)
    at = np.array(at_ms, np.int64) * 1_000
    return History(at, np.array(steps, np.int64), np.array(values, np.float64))


def to_infinity(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same values, infinite where MLflow's database holds the largest number in its place."""
    values[np.abs(values) == LARGEST] *= np.inf
    return values


def _check(where: str, what: str, numbers: Sequence[int], bounds: tuple[int, int]) -> None:
    for number in (min(numbers, default=0), max(numbers, default=0)):
        if not bounds[0] <= number <= bounds[1]:
            raise InvalidInputError(
                f"{where}: {number} is no {what} that can be kept", hint="correct it there, and import again"
            )
