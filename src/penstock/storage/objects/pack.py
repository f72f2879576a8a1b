"""Packs: many objects in one blob, and beside it an index that says which and how long.

`packs/NAME.pack` is eight magic bytes and the objects, one after the other. `packs/NAME.index` is eight magic bytes and
for each object, in the same order, its digest and length. NAME is the digest of the index, so it vouches for the index,
and the index for every byte of the pack. The pack is written first: without its index nobody sees it.
"""

import itertools
from collections.abc import Sequence

from msgspec import Struct

from penstock.core.errors import CorruptDataError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.format import PART, decode_parts, digest_of

PACK_MAGIC, INDEX_MAGIC = b"pspack1\n", b"psindx1\n"
PACK_SIZE = 64 << 20
FOLDER = "packs/"
INDEX_ENDING = ".index"
_WINDOW_SIZE = 4 << 20
_WINDOWS = 8  # packs that were written side by side are read side by side


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
    return f"{FOLDER}{name}{INDEX_ENDING}"


def check_index(name: str, body: bytes) -> memoryview:
    """The list of parts in an index; CorruptDataError when it is not what was written."""
    if digest_of(body).hex() != name or not body.startswith(INDEX_MAGIC):
        raise CorruptDataError(f"the index of pack {name} is damaged", hint="run 'penstock verify'")
    parts = memoryview(body)[len(INDEX_MAGIC) :]
    if len(parts) % PART.size:
        raise CorruptDataError(f"the index of pack {name} is none", hint="run 'penstock verify'")
    return parts


def decode_index(name: str, body: bytes) -> list[tuple[bytes, Place]]:
    """Each object of a pack with its place; CorruptDataError when the index is not what was written."""
    parts = decode_parts(check_index(name, body))
    offsets = itertools.accumulate((length for _, length in parts), initial=len(PACK_MAGIC))
    return [(digest, Place(name, offset, length)) for (digest, length), offset in zip(parts, offsets, strict=False)]


class PackReader:
    """Reads objects out of packs through windows, so that neighbours cost one read together; for one thread."""

    def __init__(self, blobs: BlobStore, window_size: int = _WINDOW_SIZE) -> None:
        self._blobs = blobs
        self._window_size = window_size
        self._windows: dict[str, tuple[int, memoryview]] = {}  # by pack: where it begins, and its bytes

    def read(self, place: Place) -> memoryview:
        """The object's stored bytes, unchecked; fewer than its length when the pack was cut short."""
        offset, window = self._windows.get(place.pack, (0, memoryview(b"")))
        start = place.offset - offset
        if start < 0 or start + place.length > len(window):
            length = max(place.length, self._window_size)
            window = memoryview(self._blobs.get_range(pack_key(place.pack), place.offset, length))
            self._windows.pop(place.pack, None)
            self._windows[place.pack] = place.offset, window
            if len(self._windows) > _WINDOWS:
                del self._windows[next(iter(self._windows))]
            start = 0
        return window[start : start + place.length]


def check_pack_start(blobs: BlobStore, name: str) -> bool:
    """Whether a pack begins as packs do."""
    return blobs.get_range(pack_key(name), 0, len(PACK_MAGIC)) == PACK_MAGIC


def pack_length(places: Sequence[Place]) -> int:
    """How long the pack with these objects has to be."""
    return places[-1].offset + places[-1].length if places else len(PACK_MAGIC)
