"""How many different values, from values that pass by once."""

import numpy as np

from penstock.stats.sketches.hashing import Hashes

_SPACE = 2.0**64


class DistinctSketch:
    """The smallest hashes seen: a count that is exact up to `size` different values and has a relative error of
    about one over the root of `size` beyond. Sketches merge by `add` of what the other holds.

    Source: k minimum values; Bar-Yossef et al. 2002, with the unbiased estimate of Beyer et al. 2007.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: Hashes = np.empty(0, dtype=np.uint64)
        self._waiting: list[Hashes] = []
        self._waits = 0
        self.limit = np.uint64(2**64 - 1)  # hashes above it no longer matter

    def add(self, hashes: Hashes) -> None:
        """Take in the hashes of values; the same one any number of times."""
        self._waiting.append(hashes[hashes <= self.limit])
        self._waits += len(self._waiting[-1])
        if self._waits > self._size // 2:
            self._merge()

    def count(self) -> int:
        """How many different values there were."""
        self._merge()
        if len(self._held) < self._size:
            return len(self._held)
        return round((self._size - 1) * _SPACE / (float(self._held[-1]) + 1))

    def held(self) -> Hashes:
        """The hashes that are kept, smallest first."""
        self._merge()
        return self._held

    def _merge(self) -> None:
        both = np.sort(np.concatenate([self._held, *self._waiting]))  # np.unique is fifty times slower here
        is_first = np.concatenate([[True], both[1:] != both[:-1]]) if len(both) else np.empty(0, dtype=np.bool_)
        self._held = both[is_first][: self._size]
        self._waiting, self._waits = [], 0
        if len(self._held) == self._size:
            self.limit = self._held[-1]
