"""Which object stands in which pack, for the packs of one store."""

import importlib
import threading
from collections.abc import Sequence
from typing import Any

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.pack import FOLDER, INDEX_ENDING, Place, check_index, index_key

_TABLES = 4  # that are searched one after the other, before they become one


class PackCatalog:
    """Which object stands in which pack, for the packs of one store; learns of new ones when asked for more."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._names: list[str] = []  # of the packs; a table has the place of its own in this list
        self._tables: tuple[Any, ...] = ()  # of `PackTable`
        self._fresh: list[tuple[int, memoryview]] = []  # packs that are in no table yet: number and parts
        self._known: set[str] = set()
        self.damaged: set[str] = set()  # packs whose index cannot be trusted
        self._lock = threading.Lock()
        self._is_loaded = False

    def find(self, digest: bytes) -> Place | None:
        """Where an object stands, as far as is known; call `refresh` and ask again to be sure that it is nowhere."""
        for table in self._look_up():
            if found := table.find(digest):
                return self._to_place(found)
        return None

    def find_many(self, digests: Sequence[bytes]) -> list[Place | None]:
        """`find` for many objects at once."""
        places: list[Place | None] = [None] * len(digests)
        for table in self._look_up():
            for number, found in table.find_many(digests):
                places[number] = self._to_place(found)
        return [place or self.find(digest) for digest, place in zip(digests, places, strict=True)]

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
            self._is_loaded = True

    def add(self, name: str, body: bytes) -> None:
        """Learn of a pack that this process has written."""
        with self._lock:
            self._learn(name, body)

    def _load(self, name: str) -> None:
        """Learn of a pack that lies in the store."""
        try:
            self._learn(name, self._blobs.get(index_key(name)))
        except NotFoundError:
            return  # deleted between the listing and now
        except CorruptDataError:
            self.damaged.add(name)  # the other packs stay readable; `verify` names this one
            self._known.add(name)

    def _learn(self, name: str, body: bytes) -> None:
        parts = check_index(name, body)
        self._known.add(name)
        if parts:
            self._fresh.append((len(self._names), parts))
            self._names.append(name)

    def _look_up(self) -> tuple[Any, ...]:
        """The tables, with all packs that are known in them."""
        if not self._is_loaded:
            self.refresh()
        if self._fresh:
            with self._lock:
                self._tabulate()
        return self._tables

    def _tabulate(self) -> None:
        # Its library takes as long to import as thousands of files to read, and a new store has nothing to look up.
        table = importlib.import_module("penstock.storage.objects.pack_table").PackTable
        tables = (*self._tables, *(table.of(number, parts) for number, parts in self._fresh))
        self._tables = (table.joined(tables),) if len(tables) > _TABLES else tables
        self._fresh.clear()  # last: whoever sees it empty takes the tables without the lock

    def _forget(self, gone: set[str]) -> None:
        """Forget packs; a collector has moved what is needed of them to others."""
        self._tabulate()
        numbers = [number for number, name in enumerate(self._names) if name in gone]
        left = (table.without(numbers) for table in self._tables)
        self._tables = tuple(table for table in left if table is not None)
        self._known -= gone
        self.damaged -= gone

    def _to_place(self, found: tuple[int, int, int]) -> Place:
        pack, offset, length = found
        return Place(self._names[pack], offset, length)
