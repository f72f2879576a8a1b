"""Which objects of a store are there and may be relied on, instead of being written anew."""

import threading
from collections.abc import Callable, Sequence

from penstock.core.errors import NotFoundError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.catalog import PackCatalog
from penstock.storage.objects.guarding.guard import Guard
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key


class Kept:
    """Looks objects up that may have been kept before; none is read. Safe to use from several threads.

    Args:
        blobs: the store.
        catalog: knows its packs.
        guard: knows what is condemned in it.
    """

    def __init__(self, blobs: BlobStore, catalog: PackCatalog, guard: Guard) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._guard = guard

    def has(self, digest: bytes) -> bool:
        """Whether an object is there, in a pack or alone, as far as is known."""
        return self.has_packed(digest) or (self._guard.allows_loose(digest) and self._has_loose(digest))

    def has_packed(self, digest: bytes) -> bool:
        """Whether an object is in a pack, as far as is known."""
        self._guard.begin()
        place = self._catalog.find(digest)
        return place is not None and self._guard.allows(place.pack, digest)

    def has_all(self, digests: Sequence[bytes]) -> bool:
        """Whether a tree and its files, which were kept here before, are still there."""
        if self._guard.allows_everything:
            return self.has(digests[0])  # they were kept together, and nothing was ever deleted
        places = zip(digests, self._catalog.find_many(digests), strict=True)
        return all(
            self._guard.allows(place.pack, digest) if place is not None else self.has(digest)
            for digest, place in places
        )

    def for_many(self) -> Callable[[bytes], bool]:
        """As `has`, but those that stand alone are listed when the first is asked for, rather than looked up."""
        loose = _Lazily(lambda: {key.rpartition("/")[2] for key in self._blobs.list_keys(LOOSE_FOLDER)})

        def has(digest: bytes) -> bool:
            return self.has_packed(digest) or (digest.hex() in loose.get() and self._guard.allows_loose(digest))

        return has

    def _has_loose(self, digest: bytes) -> bool:
        try:
            self._blobs.size(loose_key(digest))
        except NotFoundError:
            return False
        return True


class _Lazily:
    """A set that is fetched when it is first asked for."""

    def __init__(self, fetch: Callable[[], set[str]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._held: set[str] | None = None

    def get(self) -> set[str]:
        with self._lock:
            if self._held is None:
                self._held = self._fetch()
            return self._held
