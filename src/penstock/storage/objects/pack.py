"""Packs: many objects in one blob, and beside it an index that says which and how long.

`packs/NAME.pack` is eight magic bytes and the objects, one after the other. `packs/NAME.index` is eight magic bytes and
for each object, in the same order, its digest and length. NAME is the digest of the index, so it vouches for the index,
and the index for every byte of the pack. The pack is written first: without its index nobody sees it.
"""

import itertools
import mmap
import threading
from collections.abc import Callable, Sequence

from msgspec import Struct

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import HEADER_SIZE, decode_parts, digest_of, encode_parts

PACK_MAGIC, INDEX_MAGIC = b"pspack1\n", b"psindx1\n"
PACK_SIZE = 64 << 20
FOLDER = "packs/"
_INDEX = ".index"
_WINDOW_SIZE = 8 << 20


class Place(Struct, frozen=True, gc=False):
    """Where an object stands."""

    pack: str
    offset: int
    length: int


def pack_key(name: str) -> str:
    """The key of a pack's objects."""
    return f"{FOLDER}{name}.pack"


def index_key(name: str) -> str:
    """The key of a pack's index."""
    return f"{FOLDER}{name}{_INDEX}"


def decode_index(name: str, body: bytes) -> list[tuple[bytes, Place]]:
    """Each object of a pack with its place; CorruptDataError when the index is not what was written."""
    if digest_of(body).hex() != name or not body.startswith(INDEX_MAGIC):
        raise CorruptDataError(f"the index of pack {name} is damaged", hint="run 'penstock verify'")
    parts = decode_parts(memoryview(body)[len(INDEX_MAGIC) :])
    offsets = itertools.accumulate((length for _, length in parts), initial=len(PACK_MAGIC))
    return [(digest, Place(name, offset, length)) for (digest, length), offset in zip(parts, offsets, strict=False)]


class PackCatalog:
    """Which object stands in which pack, for the packs of one store; learns of new ones when asked for more."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._places: dict[bytes, Place] = {}
        self._known: set[str] = set()
        self.damaged: set[str] = set()  # packs whose index cannot be trusted
        self._lock = threading.Lock()
        self._is_loaded = False

    def find(self, digest: bytes) -> Place | None:
        """Where an object stands, as far as is known; call `refresh` and ask again to be sure that it is nowhere."""
        if not self._is_loaded:
            self.refresh()
        return self._places.get(digest)

    def refresh(self) -> None:
        """Read the indexes written since the last look, by whichever process."""
        with self._lock:
            for key in self._blobs.list_keys(FOLDER):
                name = key.removeprefix(FOLDER).removesuffix(_INDEX)
                if key.endswith(_INDEX) and name not in self._known:
                    self._load(name)
            self._is_loaded = True

    def add(self, name: str, body: bytes) -> None:
        """Learn of a pack that this process has written."""
        with self._lock:
            self._known.add(name)
            self._places.update(decode_index(name, body))

    def _load(self, name: str) -> None:
        try:
            places = decode_index(name, self._blobs.get(index_key(name)))
        except NotFoundError:
            return  # deleted between the listing and now
        except CorruptDataError:
            self.damaged.add(name)  # the other packs stay readable; `verify` names this one
        else:
            self._places.update(places)
        self._known.add(name)


class PackWriter:
    """Appends objects to a buffer and keeps it as a pack when it is full; for one thread.

    An object is written in place: `room` gives a part of the buffer, `take` keeps what was put there, unless the store
    has it already. Nothing is safe before `flush` has returned.

    Args:
        blobs: where packs go.
        knows: whether the store holds an object.
        written: told the name and the index of each pack.
        pack_size: bytes after which a pack is full.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        knows: Callable[[bytes], bool],
        written: Callable[[str, bytes], None],
        pack_size: int = PACK_SIZE,
    ) -> None:
        self._blobs = blobs
        self._knows = knows
        self._written = written
        self._pack_size = pack_size
        self._parts: list[tuple[bytes, int]] = []
        self._new: set[bytes] = set()
        self._buffer = _reserve(pack_size)
        self._start()

    def room(self, length: int) -> memoryview:
        """A writable part of the buffer for an object of at most `length` bytes, its header included."""
        if self._end + length > len(self._buffer):
            self.flush()
        if self._end + length > len(self._buffer):
            self._buffer = _reserve(self._end + length)
            self._start()
        return self._buffer[self._end : self._end + length]

    def take(self, length: int) -> bytes:
        """The digest of the object in the first `length` bytes of the room; it is kept if it is new."""
        digest = digest_of(self._buffer[self._end : self._end + length])
        if digest not in self._new and not self._knows(digest):
            self._new.add(digest)
            self._parts.append((digest, length))
            self._end += length
        return digest

    def add(self, header: bytes, payload: Data) -> bytes:
        """The digest of an object that was made elsewhere."""
        length = HEADER_SIZE + len(payload)
        room = self.room(length)
        room[:HEADER_SIZE] = header
        room[HEADER_SIZE:] = payload
        return self.take(length)

    def flush(self) -> None:
        """Keep what is in the buffer; afterwards every object taken so far is safe."""
        if not self._parts:
            return
        index = INDEX_MAGIC + encode_parts(self._parts)
        name = digest_of(index).hex()
        self._blobs.put_if_absent(pack_key(name), self._buffer[: self._end])
        self._blobs.put_if_absent(index_key(name), index)
        self._written(name, index)
        self._parts = []
        self._start()

    def _start(self) -> None:
        self._end = len(PACK_MAGIC)
        self._buffer[: self._end] = PACK_MAGIC


def _reserve(size: int) -> memoryview:
    """Writable bytes that take no memory, and no time, until they are written: most packs are small."""
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class PackReader:
    """Reads objects out of packs through a window, so that neighbours cost one read together; for one thread."""

    def __init__(self, blobs: BlobStore, window_size: int = _WINDOW_SIZE) -> None:
        self._blobs = blobs
        self._window_size = window_size
        self._pack = ""
        self._offset = 0
        self._window = memoryview(b"")

    def read(self, place: Place) -> memoryview:
        """The object's stored bytes, unchecked; fewer than its length when the pack was cut short."""
        start = place.offset - self._offset
        if place.pack != self._pack or start < 0 or start + place.length > len(self._window):
            length = max(place.length, self._window_size)
            self._window = memoryview(self._blobs.get_range(pack_key(place.pack), place.offset, length))
            self._pack, self._offset, start = place.pack, place.offset, 0
        return self._window[start : start + place.length]


def check_pack_start(blobs: BlobStore, name: str) -> bool:
    """Whether a pack begins as packs do."""
    return blobs.get_range(pack_key(name), 0, len(PACK_MAGIC)) == PACK_MAGIC


def pack_length(places: Sequence[Place]) -> int:
    """How long the pack with these objects has to be."""
    return places[-1].offset + places[-1].length if places else len(PACK_MAGIC)
