"""Where the objects of many packs stand, as arrays: some 60 bytes for each, so that ten million are no burden."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penstock.storage.objects.blob_store import Data
from penstock.storage.objects.format import PART
from penstock.storage.objects.pack import PACK_MAGIC

_DIGEST = np.dtype([("key", ">u8"), ("rest", "V24")])  # `key` is the beginning, by which objects are sorted
_PART = np.dtype([("digest", _DIGEST), ("length", ">u4")])  # as `format.PART`
_ROW = np.dtype([("rest", "V24"), ("pack", "u4"), ("offset", "u8"), ("length", "u4")])
assert _PART.itemsize == PART.size

Found = tuple[int, int, int]  # the number of a pack, and the offset and the length in it


class PackTable(Struct, frozen=True):
    """Objects in order of their digests."""

    keys: NDArray[np.uint64]
    rows: NDArray[Any]

    @classmethod
    def of(cls, number: int, parts: Data) -> Self:
        """The objects of one pack.

        Args:
            number: what the pack is called here.
            parts: digests and lengths, as in its index.
        """
        listed = np.frombuffer(parts, _PART)
        rows = np.empty(len(listed), _ROW)
        rows["rest"], rows["pack"] = listed["digest"]["rest"], number
        ends = np.cumsum(listed["length"], dtype="u8") + len(PACK_MAGIC)
        rows["offset"], rows["length"] = ends - listed["length"], listed["length"]
        return cls._sorted(listed["digest"]["key"].astype("u8"), rows)

    @classmethod
    def joined(cls, tables: Sequence[Self]) -> Self:
        """Several tables as one."""
        keys, rows = [table.keys for table in tables], [table.rows for table in tables]
        return cls._sorted(np.concatenate(keys), np.concatenate(rows))

    def find(self, digest: bytes) -> Found | None:
        """Where an object stands."""
        key = np.uint64(int.from_bytes(digest[:8]))
        for number in range(int(self.keys.searchsorted(key)), len(self.keys)):
            if self.keys[number] != key:
                break
            row = self.rows[number]
            if row["rest"].tobytes() == digest[8:]:
                return int(row["pack"]), int(row["offset"]), int(row["length"])
        return None

    def find_many(self, digests: Sequence[bytes]) -> Iterator[tuple[int, Found]]:
        """The places in `digests` of objects that are here, with where they stand; `find` may know some more."""
        wanted = np.frombuffer(b"".join(digests), _DIGEST)
        places = np.minimum(np.searchsorted(self.keys, wanted["key"].astype("u8")), len(self.keys) - 1)
        hits = self.rows[places]
        is_there = (self.keys[places] == wanted["key"]) & (hits["rest"] == wanted["rest"])
        for number in np.flatnonzero(is_there).tolist():
            _, pack, offset, length = hits[number].item()
            yield number, (pack, offset, length)

    def without(self, packs: Sequence[int]) -> Self | None:
        """What is left when some packs are gone; None when that is nothing."""
        stays = ~np.isin(self.rows["pack"], packs)
        return type(self)(self.keys[stays], self.rows[stays]) if stays.any() else None

    @classmethod
    def _sorted(cls, keys: NDArray[np.uint64], rows: NDArray[Any]) -> Self:
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], rows[order])
