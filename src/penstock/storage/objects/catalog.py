"""Which object stands in which pack: some 60 bytes of memory for each, so that ten million are no burden."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.format import PART
from penstock.storage.objects.pack import FOLDER, INDEX_ENDING, PACK_MAGIC, Place, check_index, decode_index, index_key

_Table = tuple[NDArray[np.uint64], NDArray[Any]]  # the keys, sorted, and for each its row
_RECENT_LIMIT = 1 << 16  # objects that are kept in a dictionary before they are sorted in among the others
_DIGEST = np.dtype([("key", ">u8"), ("rest", "V24")])  # `key` is the beginning, by which objects are sorted
_PART = np.dtype([("digest", _DIGEST), ("length", ">u4")])  # as `format.PART`
_ROW = np.dtype([("rest", "V24"), ("pack", "u4"), ("offset", "u8"), ("length", "u4")])
assert _PART.itemsize == PART.size


class PackCatalog:
    """Which object stands in which pack, for the packs of one store; learns of new ones when asked for more."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._names: list[str] = []  # of the packs; a row has the place of its own in this list
        self._table: _Table = (np.empty(0, "u8"), np.empty(0, _ROW))
        self._recent: dict[bytes, Place] = {}
        self._known: set[str] = set()
        self.damaged: set[str] = set()  # packs whose index cannot be trusted
        self._lock = threading.Lock()
        self._is_loaded = False

    def find(self, digest: bytes) -> Place | None:
        """Where an object stands, as far as is known; call `refresh` and ask again to be sure that it is nowhere."""
        if not self._is_loaded:
            self.refresh()
        return self._recent.get(digest) or self._find_row(digest)

    def find_many(self, digests: Sequence[bytes]) -> list[Place | None]:
        """`find` for many objects at once."""
        if not self._is_loaded:
            self.refresh()
        (keys, rows), names = self._table, self._names
        if not len(keys) or not digests:
            return [self.find(digest) for digest in digests]
        wanted = np.frombuffer(b"".join(digests), _DIGEST)
        found = np.minimum(np.searchsorted(keys, wanted["key"].astype("u8")), len(keys) - 1)
        hits = rows[found]
        is_there = (keys[found] == wanted["key"]) & (hits["rest"] == wanted["rest"])
        places = zip(hits["pack"].tolist(), hits["offset"].tolist(), hits["length"].tolist(), strict=True)
        return [
            Place(names[pack], offset, length) if good else self.find(digest)
            for digest, good, (pack, offset, length) in zip(digests, is_there.tolist(), places, strict=True)
        ]

    def refresh(self) -> None:
        """Read the indexes written since the last look, by whichever process."""
        with self._lock:
            fresh = [
                rows
                for key in self._blobs.list_keys(FOLDER)
                if key.endswith(INDEX_ENDING)
                for rows in self._load(key.removeprefix(FOLDER).removesuffix(INDEX_ENDING))
            ]
            if fresh:
                self._merge(fresh)
            self._is_loaded = True

    def add(self, name: str, body: bytes) -> None:
        """Learn of a pack that this process has written."""
        with self._lock:
            self._known.add(name)
            self._recent.update(decode_index(name, body))
            if len(self._recent) > _RECENT_LIMIT:
                self._merge([_to_table(self._recent, self._number)])
                self._recent = {}

    def _load(self, name: str) -> list[_Table]:
        """The objects of a pack, when it is a new one that can be read."""
        if name in self._known:
            return []
        try:
            parts = np.frombuffer(check_index(name, self._blobs.get(index_key(name))), _PART)
        except NotFoundError:
            return []  # deleted between the listing and now
        except (CorruptDataError, ValueError):
            self.damaged.add(name)  # the other packs stay readable; `verify` names this one
            self._known.add(name)
            return []
        self._known.add(name)
        rows = np.empty(len(parts), _ROW)
        rows["rest"], rows["pack"] = parts["digest"]["rest"], self._number(name)
        ends = np.cumsum(parts["length"], dtype="u8") + len(PACK_MAGIC)
        rows["offset"], rows["length"] = ends - parts["length"], parts["length"]
        return [(parts["digest"]["key"].astype("u8"), rows)]

    def _number(self, name: str) -> int:
        self._names.append(name)
        return len(self._names) - 1

    def _merge(self, fresh: list[_Table]) -> None:
        keys = np.concatenate([self._table[0], *(table[0] for table in fresh)])
        rows = np.concatenate([self._table[1], *(table[1] for table in fresh)])
        order = np.argsort(keys, kind="stable")
        self._table = keys[order], rows[order]

    def _find_row(self, digest: bytes) -> Place | None:
        keys, rows = self._table
        if not len(keys):
            return None
        key = np.uint64(int.from_bytes(digest[:8]))
        for number in range(int(keys.searchsorted(key)), len(keys)):
            if keys[number] != key:
                return None
            row = rows[number]
            if row["rest"].tobytes() == digest[8:]:
                return Place(self._names[row["pack"]], int(row["offset"]), int(row["length"]))
        return None


def _to_table(places: dict[bytes, Place], number: Callable[[str], int]) -> _Table:
    """Places as a table; `number` gives a pack its number."""
    numbers = {name: number(name) for name in sorted({place.pack for place in places.values()})}
    digests = np.frombuffer(b"".join(places), _DIGEST)
    rows = np.empty(len(places), _ROW)
    rows["rest"] = digests["rest"]
    rows["pack"] = [numbers[place.pack] for place in places.values()]
    rows["offset"] = [place.offset for place in places.values()]
    rows["length"] = [place.length for place in places.values()]
    return digests["key"].astype("u8"), rows
