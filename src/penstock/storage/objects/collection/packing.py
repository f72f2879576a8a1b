"""Loose objects are put together into packs, and then go: one file instead of thousands, beside readers and writers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Struct

from penstock.core import failpoints
from penstock.core.errors import PenstockError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.collection.types import Renew
from penstock.storage.objects.guarding.condemned import Condemned, read_condemned
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.pack import PACK_SIZE, Place
from penstock.storage.objects.pack_builder import PackBuilder
from penstock.storage.objects.store_view import IN_FLIGHT, Location, StoreView

FEWEST = 256  # loose objects; fewer are left alone, or there would be as many packs as there were objects
_MOST = 20_000  # objects in one pack, so that a server which is to stop need not wait for long
_GAP = 64 << 10  # bytes


class Packed(Struct, frozen=True):
    """What packing did."""

    objects: int = 0  # that are no longer loose
    packs: int = 0  # that were written

    def __add__(self, other: "Packed") -> "Packed":
        return Packed(self.objects + other.objects, self.packs + other.packs)


class LoosePacker:
    """Packs the loose objects of a store; for one at a time, and not beside a collection: `renew` sees to both.

    A pack is there, synced and with its index, before one of its objects stops to be loose; so whoever looks for an
    object as a loose one, and then in packs written since, finds it. Nobody else has to know. Condemned objects stay as
    they are, as they are about to go.

    Args:
        blobs: the store.
        renew: called before each step that writes or deletes; raises when the right to do so was lost.
        fewest: loose objects below which nothing is done.
        pack_size: bytes of a pack.
    """

    def __init__(
        self, blobs: BlobStore, *, renew: Renew = lambda: None, fewest: int = FEWEST, pack_size: int = PACK_SIZE
    ) -> None:
        self._blobs = blobs
        self._renew = renew
        self._fewest = fewest
        self._pack_size = pack_size

    def is_due(self) -> bool:
        """Whether there are enough loose objects that stay; errors as `step`."""
        count = sum(1 for _ in self._blobs.list_keys(LOOSE_FOLDER))
        return count >= self._fewest and count - len(read_condemned(self._blobs).loose) >= self._fewest

    def run(self) -> Packed:
        """Pack all there are; errors as `step`."""
        done = Packed()
        while (step := self.step()).objects:
            done += step
        return done

    def step(self) -> Packed:
        """Fill one pack; nothing of objects when there are too few to do so.

        Raises:
            ConflictError: the right was lost; what was done so far is whole.
            CorruptDataError: what is condemned cannot be read.
            StorageFullError: there is no room; nothing was changed.
            UnavailableError: the store cannot be reached just now.
        """
        if not self.is_due():
            return Packed()
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            return self._step(StoreView(self._blobs, pool, gap=_GAP))

    def _step(self, view: StoreView) -> Packed:
        self._renew()
        view.load()
        condemned = read_condemned(self._blobs)
        wanted = sorted(view.loose - condemned.loose.keys())
        if len(wanted) < self._fewest:
            return Packed()
        places = {digest: self._find_sound(view, condemned, digest) for digest in wanted}
        twice: list[tuple[bytes, Location]] = [(digest, place) for digest, place in places.items() if place is not None]
        gone = [digest for digest, found in view.read(twice) if not isinstance(found, PenstockError)]
        builder = PackBuilder()
        fresh: list[bytes] = []
        loose: list[tuple[bytes, Location]] = [(digest, "loose") for digest, place in places.items() if place is None]
        for digest, stored in view.read(loose):
            if isinstance(stored, PenstockError):
                continue  # damaged, which `verify` tells
            builder.add(digest, stored)
            fresh.append(digest)
            if builder.size >= self._pack_size or len(fresh) == _MOST:
                break
        if fresh:
            self._renew()
            builder.build(lambda name: _is_free(view, condemned, name)).publish(self._blobs)
            failpoints.hit("objects.packing.published")
        for digest in [*gone, *fresh]:
            self._renew()
            self._blobs.delete(loose_key(digest))
            failpoints.hit("objects.packing.deleted")
        return Packed(len(gone) + len(fresh), int(bool(fresh)))

    def _find_sound(self, view: StoreView, condemned: Condemned, digest: bytes) -> Place | None:
        """Where an object stands in a pack already, as one that was packed by a process which was killed then."""
        place = view.find_packed(digest)
        since: datetime | None = condemned.since(place.pack, digest) if place is not None else None
        return place if since is None else None


def _is_free(view: StoreView, condemned: Condemned, name: str) -> bool:
    """Whether no pack has this name, or had it and is condemned."""
    return name not in condemned.packs and name not in condemned.objects and name not in view.packs
