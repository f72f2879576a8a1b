"""Everything that objects lead to: trees to their entries, files to their chunks."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from penstock.core.errors import CorruptDataError, NotFoundError, PenstockError
from penstock.storage.objects.blob_store import Data
from penstock.storage.objects.format import (
    BYTES,
    FILE,
    HEADER_SIZE,
    KINDS,
    PART,
    TREE,
    EntryKind,
    decode_parts,
    decode_rows,
)
from penstock.storage.objects.store_view import Location, StoreView

_BATCH = 50_000  # objects that are read together
_FOLDER = KINDS.index(EntryKind.FOLDER)
_UNKNOWN = -1  # bytes of a file whose size nothing says


class Unreadable(Struct, frozen=True):
    """An object whose content nobody can say, so that what it leads to is unknown."""

    digest: bytes
    error: PenstockError


class Reached:
    """What was found from some roots.

    Attributes:
        digests: every object, those that are missing as well; in the order in which they were met.
        inner: those of them that lead to others, or might.
        unreadable: those that lead nowhere as they are damaged or missing.
    """

    def __init__(self) -> None:
        self.digests: dict[bytes, None] = {}
        self.inner: set[bytes] = set()
        self.unreadable: list[Unreadable] = []


class Walker:
    """Follows objects through stores; what several of them hold is read from the first.

    Args:
        views: the stores, the nearest first.
    """

    def __init__(self, *views: StoreView) -> None:
        self._views = views

    def walk(self, roots: Iterable[bytes]) -> Reached:
        """Everything that the roots lead to, level by level."""
        reached = Reached()
        level = list(dict.fromkeys(roots))
        reached.digests.update(dict.fromkeys(level))
        while level:
            below: list[bytes] = []
            for start in range(0, len(level), _BATCH):
                for digest, stored in self._read(level[start : start + _BATCH], reached):
                    below.extend(self._follow(digest, stored, reached))
            level = below
        return reached

    def _read(self, digests: Sequence[bytes], reached: Reached) -> Iterator[tuple[bytes, Data]]:
        wanted: dict[StoreView, list[tuple[bytes, Location]]] = {view: [] for view in self._views}
        for digest in digests:
            reached.inner.add(digest)
            view, location = self._find(digest)
            if view is None or location is None:
                missing = NotFoundError(f"there is no object {digest.hex()} in the store it should come from")
                reached.unreadable.append(Unreadable(digest, missing))
            else:
                wanted[view].append((digest, location))
        for view, chosen in wanted.items():
            for digest, stored in view.read(chosen):
                if isinstance(stored, PenstockError):
                    reached.unreadable.append(Unreadable(digest, stored))
                else:
                    yield digest, stored

    def _find(self, digest: bytes) -> tuple[StoreView | None, Location | None]:
        for view in self._views:
            location = view.locate(digest)
            if location is not None:
                return view, location
        return None, None

    def _follow(self, digest: bytes, stored: Data, reached: Reached) -> Iterator[bytes]:
        """What an object leads to and was not met before; only what may lead on is given back."""
        try:
            found = list(children_of(stored))
        except CorruptDataError as error:
            reached.unreadable.append(Unreadable(digest, error))
            return
        if not found:
            reached.inner.discard(digest)
        for child, size in found:
            if child in reached.digests:
                continue
            reached.digests[child] = None
            if size is None or self._may_lead_on(child, size):
                yield child

    def _may_lead_on(self, digest: bytes, size: int) -> bool:
        """Whether a file of `size` bytes may be a list of chunks, as far as its stored length tells."""
        if size == _UNKNOWN:
            return False
        for view in self._views:
            place = view.find_packed(digest)
            if place is not None:
                return place.length != HEADER_SIZE + size or (size > 0 and size % PART.size == 0)
        return True


def children_of(stored: Data) -> Iterator[tuple[bytes, int | None]]:
    """The objects that one leads to, each with the size of its file; None for a folder, -1 for a chunk.

    Raises:
        CorruptDataError: the object is not in its form.
    """
    view = memoryview(stored)
    header, payload = bytes(view[:HEADER_SIZE]), view[HEADER_SIZE:]
    if header == FILE:
        for chunk, _ in decode_parts(payload):
            yield chunk, _UNKNOWN
    elif header == TREE:
        for _, kind, size, digest in decode_rows(payload):
            yield digest, None if kind == _FOLDER else size
    elif header != BYTES:
        raise CorruptDataError(f"this penstock knows no objects that begin with {header!r}")
