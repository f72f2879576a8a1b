"""Hashes of values: 64 bits that look like chance, and are the same on every machine and in every version."""

from collections.abc import Sequence

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from penstock.stats.arrays import FloatArray

Hashes = NDArray[np.uint64]


def hash_numbers(values: FloatArray) -> Hashes:
    """A hash for each number, shape (n,); equal numbers have equal ones, zero has no sign.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014) on the bits of the number.
    """
    mixed = (values + 0.0).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def hash_texts(texts: Sequence[str]) -> Hashes:
    """A hash for each text, shape (n,): the first eight bytes of BLAKE3 of its UTF-8."""
    joined = b"".join(blake3(text.encode("utf-8", "surrogatepass")).digest(8) for text in texts)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def draw(data: bytes, count: int) -> int:
    """A number from 0 to `count` - 1 that the data decides, and nothing that anyone would think of beforehand."""
    return int.from_bytes(blake3(data).digest(8), "little") % count
