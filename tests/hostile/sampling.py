"""A share of many values for each of many places, so that every value and every place has its turn."""

import zlib
from collections.abc import Sequence
from itertools import count
from typing import Any


class Sample:
    """Takes every so many values, and begins with another one at each place.

    Args:
        name: of the test; where its first place begins depends on it.
        stride: 1 takes all.
    """

    def __init__(self, name: str, stride: int) -> None:
        self._stride = stride
        self._places = count(zlib.crc32(name.encode()))

    def of(self, values: Sequence[Any]) -> Sequence[Any]:
        """The values for the next place: at least one, where there is any."""
        stride = max(1, min(self._stride, len(values)))
        return values[next(self._places) % stride :: stride]
