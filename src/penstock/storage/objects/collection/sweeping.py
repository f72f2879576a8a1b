"""Deleting condemned places: loose objects, whole packs, and packs of which the needed part was written anew before."""

from collections.abc import Iterable, Mapping

from penstock.core import failpoints
from penstock.core.errors import NotFoundError, PenstockError
from penstock.storage.objects.blob_store import Data
from penstock.storage.objects.collection.types import Amount, Renew
from penstock.storage.objects.guarding.condemned import Condemned, write_condemned
from penstock.storage.objects.keys import loose_key
from penstock.storage.objects.pack import PACK_SIZE, index_key, pack_key
from penstock.storage.objects.pack_builder import PackBuilder
from penstock.storage.objects.store_view import Location, StoreView

REWRITE_SHARE = 0.25  # of a pack's bytes that are of no use; below, it is left as it is unless all have to go


class Sweeper:
    """Deletes what is due; each step leaves a store from which everything needed can be read.

    Args:
        view: the store, all indexes read.
        state: every condemned place, as it was written down.
        due: those of them that may go.
        needed: every object that something leads to.
        renew: see `Collector`.
        thorough: rewrite every pack that holds something due, however little it is.
        dry_run: only count.
    """

    def __init__(
        self,
        view: StoreView,
        state: Condemned,
        due: Condemned,
        needed: Mapping[bytes, None],
        renew: Renew,
        *,
        thorough: bool,
        dry_run: bool,
    ) -> None:
        self.deleted = Amount()
        self.rewritten = 0
        self.problems: list[str] = []
        self.rest = Condemned()  # what is condemned and was not deleted
        self._view = view
        self._blobs = view.blobs
        self._state = state
        self._due = due
        self._needed = needed
        self._renew = renew
        self._dry_run = dry_run
        self._to_rewrite = {name for name in due.objects if thorough or self._is_worth_rewriting(name)}
        self._gone: set[str] = set()  # packs that were deleted
        self._gone_loose: set[bytes] = set()
        self._copies = self._find_copies()

    @property
    def waiting(self) -> Amount:
        """What is condemned and was not deleted; loose objects are not measured."""
        total = Amount(len(self.rest.loose), 0)
        for name in self.rest.packs.keys() & self._view.indexes.keys():
            total += self._amount_of(name)
        for name, objects in self.rest.objects.items():
            total += self._measure(name, objects)
        return total

    def run(self) -> None:
        """Delete what is due, and write down what is left."""
        for name in sorted(self._due.packs):
            self._sweep_pack(name)
        self._rewrite_packs()
        for digest in sorted(self._due.loose):
            self._sweep_loose(digest)
        self.rest.packs = {name: since for name, since in self._state.packs.items() if name not in self._gone}
        self.rest.objects = {name: dead for name, dead in self._state.objects.items() if name not in self._gone}
        self.rest.loose = {d: since for d, since in self._state.loose.items() if d not in self._gone_loose}
        if not self._dry_run and self.rest != self._state:
            self._renew()
            write_condemned(self._blobs, self.rest)

    def _sweep_pack(self, name: str) -> None:
        if name in self._view.indexes:
            held = [digest for digest, _ in self._view.objects_of(name)]
            if not self._are_elsewhere(digest for digest in held if digest in self._needed):
                return
            self.deleted += self._amount_of(name)
        else:
            self.deleted += Amount(0, self._size_of(pack_key(name)))
        self._delete_pack(name)

    def _sweep_loose(self, digest: bytes) -> None:
        if digest in self._needed and not self._are_elsewhere([digest]):
            return
        key = loose_key(digest)
        self.deleted += Amount(1, self._size_of(key))
        self._gone_loose.add(digest)
        if self._dry_run:
            return
        self._renew()
        self._blobs.delete(key)
        failpoints.hit("objects.collect.loose")

    def _delete_pack(self, name: str) -> None:
        """Remove a pack; without its index nobody sees it."""
        self._gone.add(name)
        if self._dry_run:
            return
        self._renew()
        self._blobs.delete(index_key(name))
        failpoints.hit("objects.collect.index")
        self._blobs.delete(pack_key(name))
        failpoints.hit("objects.collect.pack")

    def _rewrite_packs(self) -> None:
        """Write what is needed of some packs into new ones, and then delete them."""
        builder = PackBuilder()
        emptied: list[str] = []  # packs whose needed part is in the builder
        for name in sorted(self._to_rewrite):
            survivors = self._read_survivors(name)
            if survivors is None:
                continue
            self.rewritten += 1
            self.deleted += self._measure(name, self._due.objects[name])
            for digest, stored in survivors:
                builder.add(digest, stored)
            emptied.append(name)
            if builder.size >= PACK_SIZE:
                self._replace(emptied, builder)
                emptied = []
        self._replace(emptied, builder)

    def _replace(self, emptied: list[str], builder: PackBuilder) -> None:
        if not builder.is_empty and not self._dry_run:
            self._renew()
            builder.build(self._is_free).publish(self._blobs)
            failpoints.hit("objects.collect.rewritten")
        for name in emptied:
            self._delete_pack(name)

    def _is_free(self, name: str) -> bool:
        """Whether no pack has this name, or had it and is condemned."""
        is_condemned = name in self._state.packs or name in self._state.objects
        return not is_condemned and name not in self._view.packs

    def _read_survivors(self, name: str) -> list[tuple[bytes, Data]] | None:
        """What has to be written anew of a pack; None when the pack has to stay."""
        due = self._due.objects[name]
        if not self._are_elsewhere(digest for digest in due if digest in self._needed):
            return None
        wanted = [
            (digest, place)
            for digest, place in self._view.objects_of(name)
            if digest not in due and not self._is_elsewhere(digest)
        ]
        survivors: list[tuple[bytes, Data]] = []
        for digest, stored in self._view.read(wanted):
            if isinstance(stored, PenstockError):
                self.problems.append(f"pack {name} is kept as it is: {stored.message}")
                return None
            survivors.append((digest, bytes(stored)))
        return survivors

    def _find_copies(self) -> dict[bytes, list[Location]]:
        """Of what is needed and stands in a pack that goes: the places that are not condemned and stay."""
        going = self._due.packs.keys() | self._to_rewrite
        doubtful = {digest for digest in self._due.loose if digest in self._needed}
        for name in going & self._view.indexes.keys():
            doubtful.update(digest for digest, _ in self._view.objects_of(name) if digest in self._needed)
        copies: dict[bytes, list[Location]] = {digest: [] for digest in doubtful}
        for name in self._view.indexes.keys() - going if doubtful else ():
            for digest, place in self._view.objects_of(name):
                if digest in doubtful and self._state.since(name, digest) is None:
                    copies[digest].append(place)
        for digest in doubtful & self._view.loose if doubtful else ():
            if digest not in self._state.loose:
                copies[digest].append("loose")
        return copies

    def _are_elsewhere(self, digests: Iterable[bytes]) -> bool:
        """Whether each of these objects, which are needed, stands whole in a place that stays; a problem if not."""
        for digest in digests:
            if not self._is_elsewhere(digest):
                self.problems.append(f"a condemned copy of object {digest.hex()} is kept, as no other is whole")
                return False
        return True

    def _is_elsewhere(self, digest: bytes) -> bool:
        copies = self._copies.get(digest, ())
        return any(
            not isinstance(stored, PenstockError) for copy in copies for _, stored in self._view.read([(digest, copy)])
        )

    def _is_worth_rewriting(self, name: str) -> bool:
        return self._measure(name, self._due.objects[name]).size >= REWRITE_SHARE * self._view.size_of(name)

    def _measure(self, name: str, digests: Mapping[bytes, object]) -> Amount:
        """Some objects of a pack."""
        lengths = [place.length for digest, place in self._view.objects_of(name) if digest in digests]
        return Amount(len(lengths), sum(lengths))

    def _amount_of(self, name: str) -> Amount:
        return Amount(len(self._view.objects_of(name)), self._view.size_of(name))

    def _size_of(self, key: str) -> int:
        try:
            return self._blobs.size(key)
        except NotFoundError:
            return 0
