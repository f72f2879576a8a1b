"""Which object stands in which pack: some 60 bytes of memory for each, so that ten million are no burden."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.format import PART
from penstock.storage.objects.pack import FOLDER, INDEX_ENDING, PACK_MAGIC, Place, check_index, index_key

_Table = tuple[NDArray[np.uint64], NDArray[Any]]  # the keys, sorted, and for each its row
_TABLES = 4  # that are searched one after the other, before they become one
_DIGEST = np.dtype([("key", ">u8"), ("rest", "V24")])  # `key` is the beginning, by which objects are sorted
_PART = np.dtype([("digest", _DIGEST), ("length", ">u4")])  # as `format.PART`
_ROW = np.dtype([("rest", "V24"), ("pack", "u4"), ("offset", "u8"), ("length", "u4")])
assert _PART.itemsize == PART.size


class PackCatalog:
    """Which object stands in which pack, for the packs of one store; learns of new ones when asked for more."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._names: list[str] = []  # of the packs; a row has the place of its own in this list
        self._tables: tuple[_Table, ...] = ()
        self._known: set[str] = set()
        self.damaged: set[str] = set()  # packs whose index cannot be trusted
        self._lock = threading.Lock()
        self._is_loaded = False

    def find(self, digest: bytes) -> Place | None:
        """Where an object stands, as far as is known; call `refresh` and ask again to be sure that it is nowhere."""
        if not self._is_loaded:
            self.refresh()
        key = np.uint64(int.from_bytes(digest[:8]))
        for keys, rows in self._tables:
            for number in range(int(keys.searchsorted(key)), len(keys)):
                if keys[number] != key:
                    break
                row = rows[number]
                if row["rest"].tobytes() == digest[8:]:
                    return Place(self._names[row["pack"]], int(row["offset"]), int(row["length"]))
        return None

    def find_many(self, digests: Sequence[bytes]) -> list[Place | None]:
        """`find` for many objects at once."""
        if not self._is_loaded:
            self.refresh()
        found: list[Place | None] = [None] * len(digests)
        wanted = np.frombuffer(b"".join(digests), _DIGEST)
        for keys, rows in self._tables:
            places = np.minimum(np.searchsorted(keys, wanted["key"].astype("u8")), len(keys) - 1)
            hits = rows[places]
            is_there = (keys[places] == wanted["key"]) & (hits["rest"] == wanted["rest"])
            for number in np.flatnonzero(is_there).tolist():
                _, pack, offset, length = hits[number].item()
                found[number] = Place(self._names[pack], offset, length)
        return [place or self.find(digest) for digest, place in zip(digests, found, strict=True)]

    def refresh(self) -> None:
        """Read the indexes written since the last look, by whichever process, and forget the packs that are gone."""
        with self._lock:
            keys = [key for key in self._blobs.list_keys(FOLDER) if key.endswith(INDEX_ENDING)]
            names = [key.removeprefix(FOLDER).removesuffix(INDEX_ENDING) for key in keys]
            gone = self._known.difference(names)
            if gone and self._is_loaded:
                self._forget(gone)
            for name in names:
                if name not in self._known:
                    self._load(name)
            if len(self._tables) > 1:
                self._tables = (_merge(self._tables),)
            self._is_loaded = True

    def add(self, name: str, body: bytes) -> None:
        """Learn of a pack that this process has written."""
        with self._lock:
            self._learn(name, body)
            if len(self._tables) > _TABLES:
                self._tables = (_merge(self._tables),)

    def _load(self, name: str) -> None:
        """Learn of a pack that lies in the store."""
        try:
            self._learn(name, self._blobs.get(index_key(name)))
        except NotFoundError:
            return  # deleted between the listing and now
        except (CorruptDataError, ValueError):
            self.damaged.add(name)  # the other packs stay readable; `verify` names this one
            self._known.add(name)

    def _learn(self, name: str, body: bytes) -> None:
        parts = np.frombuffer(check_index(name, body), _PART)
        self._known.add(name)
        if not len(parts):
            return
        rows = np.empty(len(parts), _ROW)
        rows["rest"], rows["pack"] = parts["digest"]["rest"], len(self._names)
        ends = np.cumsum(parts["length"], dtype="u8") + len(PACK_MAGIC)
        rows["offset"], rows["length"] = ends - parts["length"], parts["length"]
        self._names.append(name)
        self._tables = (*self._tables, _sort(parts["digest"]["key"].astype("u8"), rows))

    def _forget(self, gone: set[str]) -> None:
        """Forget packs; a collector has moved what is needed of them to others."""
        numbers = [number for number, name in enumerate(self._names) if name in gone]
        kept = ((keys, rows, ~np.isin(rows["pack"], numbers)) for keys, rows in self._tables)
        self._tables = tuple((keys[stays], rows[stays]) for keys, rows, stays in kept if stays.any())
        self._known -= gone
        self.damaged -= gone


def _merge(tables: Sequence[_Table]) -> _Table:
    return _sort(np.concatenate([keys for keys, _ in tables]), np.concatenate([rows for _, rows in tables]))


def _sort(keys: NDArray[np.uint64], rows: NDArray[Any]) -> _Table:
    order = np.argsort(keys, kind="stable")
    return keys[order], rows[order]
