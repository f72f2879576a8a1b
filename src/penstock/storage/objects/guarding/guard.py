"""The writer's side of collection: relies on no object that is condemned, and says that it is at work."""

import threading
import time
from collections.abc import Callable, Sequence

from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.folders.stat_cache import FolderState, StatCache
from penstock.storage.objects.format import DIGEST_SIZE
from penstock.storage.objects.guarding.condemned import Condemned, read_condemned
from penstock.storage.objects.guarding.leases import Now, WriterLease

FRESH_S = 60.0  # for which what was read of a store is relied on


class Guard:
    """Says which objects of a store may be relied on instead of being written anew. Safe to use from several threads.

    Args:
        blobs: the store.
        look_again: reads which packs there are.
        lease: held from the first look on; None where somebody else vouches for this process, as a server does.
        now: seconds since 1970.
    """

    def __init__(
        self,
        blobs: BlobStore,
        look_again: Callable[[], object],
        *,
        lease: WriterLease | None = None,
        now: Now = time.time,
    ) -> None:
        self._blobs = blobs
        self._look_again = look_again
        self._lease = lease
        self._now = now
        self._lock = threading.Lock()
        self._condemned = Condemned()
        self._read_at = float("-inf")

    def begin(self) -> None:
        """Know what is condemned as of now, or nearly; errors as `read_condemned`.

        The lease comes first: a collector that does not see it has written down before what it condemns, and that is
        read after.
        """
        if abs(self._now() - self._read_at) <= FRESH_S:
            return
        with self._lock:
            now = self._now()
            if abs(now - self._read_at) <= FRESH_S:
                return
            if self._lease is not None:
                self._lease.take()
            self._condemned = read_condemned(self._blobs)
            self._look_again()
            self._read_at = now

    def end(self) -> None:
        """Rely on nothing any more: all that was kept has its reference, or never will."""
        with self._lock:
            if self._lease is not None and self._read_at != float("-inf"):
                self._lease.release()
            self._read_at = float("-inf")

    @property
    def allows_everything(self) -> bool:
        """Whether nothing was ever condemned here, and so nothing deleted."""
        self.begin()
        return self._condemned.number == 0

    def allows(self, pack: str, digest: bytes) -> bool:
        """Whether an object in a pack may be relied on."""
        self.begin()
        return self._condemned.since(pack, digest) is None

    def allows_loose(self, digest: bytes) -> bool:
        """Whether an object that stands alone may be relied on."""
        self.begin()
        return digest not in self._condemned.loose

    def allows_name(self, pack: str) -> bool:
        """Whether a new pack may have this name; one that had it may be condemned, or was until it was deleted."""
        self.begin()
        return pack not in self._condemned.packs and pack not in self._condemned.objects


class Reliable:
    """What files looked like when they were kept, as far as what was kept may still be relied on.

    Args:
        known: what they looked like.
        knows_all: whether the store holds all of these objects where they may be relied on.
    """

    def __init__(self, known: StatCache, knows_all: Callable[[Sequence[bytes]], bool]) -> None:
        self._known = known
        self._knows_all = knows_all

    def find(self, path: str) -> FolderState | None:
        """A folder as it was; None when it has to be kept anew."""
        state = self._known.find(path)
        if state is None:
            return None
        files = [state.digests[start : start + DIGEST_SIZE] for start in range(0, len(state.digests), DIGEST_SIZE)]
        return state if self._knows_all([state.tree, *files]) else None
