"""What a store holds, as it was when it was looked at: packs, their indexes as far as they were read, loose objects."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Literal, TypeAlias, TypeVar

from penstock.core.errors import CorruptDataError, NotFoundError, PenstockError
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.catalog import PackCatalog
from penstock.storage.objects.format import digest_of
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.pack import (
    FOLDER,
    PACK_MAGIC,
    Place,
    decode_index,
    index_key,
    pack_key,
    pack_length,
)

Location: TypeAlias = Place | Literal["loose"]
A = TypeVar("A")
R = TypeVar("R")
_INDEX, _PACK = ".index", ".pack"
_SPAN_LIMIT = 8 << 20  # bytes in one read
IN_FLIGHT = 8  # reads at the same time


class StoreView:
    """A look at a store: one listing of its packs, one of its loose objects if they are asked for.

    Args:
        blobs: the store.
        pool: who reads.
        gap: bytes between two objects of a pack that are read along rather than skipped with another request.
    """

    def __init__(self, blobs: BlobStore, pool: Executor, *, gap: int) -> None:
        self.blobs = blobs
        self.pool = pool
        self.gap = gap
        self.indexes: dict[str, bytes] = {}  # of the packs whose index was read
        self._packs: frozenset[str] | None = None  # until they are listed
        self._loose: frozenset[bytes] | None = None
        self._sizes: dict[str, int] = {}
        self.damaged: set[str] = set()  # packs whose index cannot be trusted
        self._catalog = PackCatalog(_Unlisted())  # type: ignore[arg-type]  # it is told of each pack, and only lists
        self._lock = threading.Lock()
        self._later = PackCatalog(blobs)  # looked into for what was loose and is not any more
        self._later_lock = threading.Lock()

    @property
    def packs(self) -> frozenset[str]:
        """The names of the packs with an index."""
        if self._packs is None:
            keys = self.blobs.list_keys(FOLDER)
            self._packs = frozenset(key[len(FOLDER) : -len(_INDEX)] for key in keys if key.endswith(_INDEX))
        return self._packs

    @property
    def loose(self) -> frozenset[bytes]:
        """The digests of the loose objects."""
        if self._loose is None:
            self._loose = frozenset(filter(None, map(_to_loose, self.blobs.list_keys(LOOSE_FOLDER))))
        return self._loose

    @property
    def is_loaded(self) -> bool:
        """Whether every index was read."""
        return len(self.indexes) + len(self.damaged) >= len(self.packs)

    def load(self, names: Iterable[str] | None = None) -> None:
        """Read indexes, several at a time: those of these packs, or all.

        Before all of them are, the loose objects are listed, and the packs again: one that is packed meanwhile is seen.
        """
        if names is None and self._loose is None:
            self.loose  # noqa: B018  # lists them
            self._packs = None
        chosen = self.packs if names is None else self.packs.intersection(names)
        wanted = sorted(chosen - self.indexes.keys() - self.damaged)
        for name, found in zip(wanted, run_ahead(self.pool, self._read_index, wanted), strict=True):
            if found is None:
                self.damaged.add(name)
            else:
                self.indexes[name], self._sizes[name] = found
                self._catalog.add(name, self.indexes[name])

    def find_packed(self, digest: bytes) -> Place | None:
        """Where an object stands in a pack whose index was read."""
        return self._catalog.find(digest)

    def locate(self, digest: bytes) -> Location | None:
        """Where an object stands; more and more of the store is looked at until it is found."""
        place = self.find_packed(digest)
        if place is None and not self.is_loaded:
            with self._lock:
                self.load()
            place = self.find_packed(digest)
        if place is not None:
            return place
        return "loose" if digest in self.loose else None

    def objects_of(self, name: str) -> list[tuple[bytes, Place]]:
        """Each object of a pack whose index was read, with its place, in the order in which they stand."""
        return decode_index(name, self.indexes[name])

    def size_of(self, name: str) -> int:
        """The bytes of a pack whose index was read."""
        return self._sizes[name]

    def read(self, wanted: Sequence[tuple[bytes, Location]]) -> Iterator[tuple[bytes, Data | PenstockError]]:
        """Objects as they are stored, checked, from pack to pack and front to back; or what is wrong with one."""
        loose = [digest for digest, location in wanted if location == "loose"]
        packed = [(digest, location) for digest, location in wanted if isinstance(location, Place)]
        packed.sort(key=lambda item: (item[1].pack, item[1].offset))
        for found in run_ahead(self.pool, self._read_span, _to_spans(packed, self.gap)):
            yield from found
        yield from run_ahead(self.pool, self._read_loose, loose)

    def _read_index(self, name: str) -> tuple[bytes, int] | None:
        try:
            index = self.blobs.get(index_key(name))
            return index, pack_length([place for _, place in decode_index(name, index)])
        except (NotFoundError, CorruptDataError):
            return None

    def _read_loose(self, digest: bytes) -> tuple[bytes, Data | PenstockError]:
        try:
            try:
                return digest, checked(digest, self.blobs.get(loose_key(digest)))
            except NotFoundError:
                return digest, checked(digest, self._read_packed_since(digest))
        except (NotFoundError, CorruptDataError) as error:
            return digest, error

    def _read_packed_since(self, digest: bytes) -> Data:
        with self._later_lock:
            place = self._later.find(digest)
            if place is None:
                self._later.refresh()
                place = self._later.find(digest)
        if place is None:
            raise NotFoundError(f"there is no object {digest.hex()}")
        return self.blobs.get_range(pack_key(place.pack), place.offset, place.length)

    def _read_span(self, span: list[tuple[bytes, Place]]) -> list[tuple[bytes, Data | PenstockError]]:
        first, last = span[0][1], span[-1][1]
        try:
            body = memoryview(
                self.blobs.get_range(pack_key(first.pack), first.offset, last.offset + last.length - first.offset)
            )
        except NotFoundError as error:
            return [(digest, error) for digest, _ in span]
        found: list[tuple[bytes, Data | PenstockError]] = []
        for digest, place in span:
            start = place.offset - first.offset
            try:
                found.append((digest, checked(digest, body[start : start + place.length])))
            except CorruptDataError as error:
                found.append((digest, error))
        return found


def checked(digest: bytes, stored: Data) -> Data:
    """The stored bytes of an object; CorruptDataError when they are not those that were written."""
    if digest_of(stored) != digest:
        raise CorruptDataError(f"object {digest.hex()} is damaged", hint="run 'penstock verify'")
    return stored


def check_pack(objects: Sequence[tuple[bytes, Place]], name: str, body: Data) -> None:
    """Refuse a pack that is not what its index says; CorruptDataError names what is wrong."""
    view = memoryview(body)
    if bytes(view[: len(PACK_MAGIC)]) != PACK_MAGIC or len(view) != pack_length([place for _, place in objects]):
        raise CorruptDataError(f"pack {name} is damaged", hint="run 'penstock verify'")
    for digest, place in objects:
        checked(digest, view[place.offset : place.offset + place.length])


def run_ahead(pool: Executor, work: Callable[[A], R], items: Iterable[A], limit: int = IN_FLIGHT) -> Iterator[R]:
    """What `work` gives for each item, in order; a few are worked on ahead, so that memory stays bounded."""
    rest = iter(items)
    running: deque[Future[R]] = deque(pool.submit(work, item) for item in islice(rest, limit))
    try:
        while running:
            done = running.popleft().result()
            running.extend(pool.submit(work, item) for item in islice(rest, 1))
            yield done
    finally:
        for future in running:
            future.cancel()


def _to_spans(packed: Sequence[tuple[bytes, Place]], gap: int) -> Iterator[list[tuple[bytes, Place]]]:
    """Neighbours together; each list is read at once."""
    span: list[tuple[bytes, Place]] = []
    for digest, place in packed:
        if span:
            first, last = span[0][1], span[-1][1]
            end = place.offset + place.length
            is_near = place.pack == last.pack and place.offset - (last.offset + last.length) <= gap
            if not is_near or end - first.offset > _SPAN_LIMIT:
                yield span
                span = []
        span.append((digest, place))
    if span:
        yield span


def _to_loose(key: str) -> bytes | None:
    try:
        digest = bytes.fromhex(key.rpartition("/")[2])
    except ValueError:
        return None
    return digest if key == loose_key(digest) else None


class _Unlisted:
    """For a catalog that is told what there is."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Nothing."""
        return iter(())
