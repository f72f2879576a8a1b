"""Mending a store: what is damaged is set aside, and brought back from a good copy, here or in another store."""

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from penstock.core import failpoints
from penstock.core.errors import CorruptDataError, NotFoundError, PenstockError
from penstock.core.ids import Digest, new_id
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import PART, decode_parts, digest_of, encode_parts, parse_digest, to_digest
from penstock.storage.objects.guarding.condemned import Condemned, read_condemned
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.pack import INDEX_MAGIC, PACK_MAGIC, PACK_SIZE, decode_index, index_key, pack_key
from penstock.storage.objects.pack_builder import PackBuilder
from penstock.storage.objects.reach import Walker
from penstock.storage.objects.store_view import IN_FLIGHT, Location, StoreView, check_pack, checked
from penstock.storage.objects.verify import ASIDE, CONDEMNED, Verifier, VerifyReport, pack_of

_NEAR_GAP, _FAR_GAP = 64 << 10, 512 << 10  # bytes


class RepairReport(Struct, frozen=True):
    """What was mended."""

    before: VerifyReport
    after: VerifyReport
    restored: tuple[Digest, ...]  # objects that came from the other store
    salvaged: int  # objects that were whole, and stood in a pack that was not
    set_aside: tuple[str, ...]  # keys of the bad copies


class Repairer:
    """Mends one store.

    Args:
        blobs: the store.
        good: another store, whose objects are taken where they are whole; None: only what is here.
    """

    def __init__(self, blobs: BlobStore, good: BlobStore | None) -> None:
        self._blobs = blobs
        self._good = good
        self._builder = PackBuilder()
        self._set_aside: list[str] = []
        self._salvaged = 0
        self._folder = f"{ASIDE}{new_id()}/"

    def run(self, roots: Iterable[Digest]) -> RepairReport:
        """Verify, mend, and verify again.

        Args:
            roots: objects that have to be there, with all that they lead to.

        Raises:
            UnavailableError: one of the stores cannot be reached just now.
        """
        wanted = list(roots)
        before = Verifier(self._blobs, LOOSE_FOLDER).run(wanted)
        if before.passed:
            return RepairReport(before, before, (), 0, ())
        bad = {problem.key for problem in before.problems}
        for name in sorted({pack_of(key) for key in bad} - {""}):
            self._mend_pack(name)
        for problem in before.damaged:
            if problem.key == _loose_key_of(problem.key) or problem.key.startswith(CONDEMNED):
                self._put_aside(problem.key)
        named = {parse_digest(problem.name) for problem in before.problems if _is_digest(problem.name)}
        restored = self._restore({*named, *map(parse_digest, wanted)})
        after = Verifier(self._blobs, LOOSE_FOLDER).run(wanted)
        return RepairReport(before, after, restored, self._salvaged, tuple(self._set_aside))

    def _mend_pack(self, name: str) -> None:
        """Give a pack its index back, or move what is whole in it to another one."""
        body = self._find(pack_key(name))
        if body is not None and self._mend_index(name, body):
            return
        index = self._find(index_key(name))
        if index is None:
            return  # nobody sees a pack without one; what is needed of it comes from elsewhere
        for digest, stored in _whole_objects(name, index, body or b""):
            self._builder.add(digest, bytes(stored))
            self._salvaged += 1
            if self._builder.size >= PACK_SIZE:
                self._publish()
        self._publish()
        failpoints.hit("objects.repair.salvaged")
        self._put_aside(index_key(name))
        if body is not None:
            self._put_aside(pack_key(name))

    def _mend_index(self, name: str, body: bytes) -> bool:
        """Whether the pack is whole, and has its index again: from the other store, or made anew from what is left."""
        bad = self._find(index_key(name))
        candidates = [_remake_index(bad, body)] if bad is not None else []
        if self._good is not None:
            with contextlib.suppress(NotFoundError):
                candidates.append(self._good.get(index_key(name)))
        for index in candidates:
            try:
                check_pack(decode_index(name, index), name, body)
            except CorruptDataError:
                continue
            if bad is not None:
                self._put_aside(index_key(name))
            self._blobs.put_if_absent(index_key(name), index)
            return True
        return False

    def _restore(self, wanted: set[bytes]) -> tuple[Digest, ...]:
        """Bring back what is missing here of what these objects lead to."""
        restored: list[bytes] = []
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            near = StoreView(self._blobs, pool, gap=_NEAR_GAP)
            near.load()
            views = [near]
            if self._good is not None:
                views.append(StoreView(self._good, pool, gap=_FAR_GAP))
            reached = Walker(*views).walk(sorted(wanted))
            missing = [digest for digest in reached.digests if near.locate(digest) is None]
            for far in views[1:]:
                located = ((digest, far.locate(digest)) for digest in missing)
                found: list[tuple[bytes, Location]] = [
                    (digest, place) for digest, place in located if place is not None
                ]
                for digest, stored in far.read(found):
                    if isinstance(stored, PenstockError):
                        continue  # it is damaged there as well
                    self._builder.add(digest, bytes(stored))
                    restored.append(digest)
                    if self._builder.size >= PACK_SIZE:
                        self._publish()
            self._publish()
        return tuple(sorted(map(to_digest, restored)))

    def _publish(self) -> None:
        if self._builder.is_empty:
            return
        state = self._condemned()
        taken = set(self._blobs.list_keys("packs/"))
        pack = self._builder.build(
            lambda name: pack_key(name) not in taken and name not in state.packs and name not in state.objects
        )
        pack.publish(self._blobs)
        failpoints.hit("objects.repair.published")

    def _condemned(self) -> Condemned:
        try:
            return read_condemned(self._blobs)
        except CorruptDataError:
            return Condemned()

    def _put_aside(self, key: str) -> None:
        """Keep a bad copy where nobody takes it for a good one."""
        body = self._find(key)
        if body is None:
            return
        aside = f"{self._folder}{key}"
        self._blobs.put_if_absent(aside, body)
        failpoints.hit("objects.repair.aside")
        self._blobs.delete(key)
        self._set_aside.append(aside)

    def _find(self, key: str) -> bytes | None:
        try:
            return self._blobs.get(key)
        except NotFoundError:
            return None


def _is_digest(name: str) -> bool:
    """Whether the name of a problem is that of an object."""
    return len(name) == 64 and "/" not in name


def _loose_key_of(key: str) -> str:
    """The key itself, when an object that stands alone may have it; else none."""
    try:
        digest = bytes.fromhex(key.rpartition("/")[2])
    except ValueError:
        return ""
    return loose_key(digest)


def _whole_objects(name: str, index: bytes, body: bytes) -> Iterable[tuple[bytes, Data]]:
    """What can be read of a pack, by an index that may be damaged itself."""
    view = memoryview(body)
    for digest, start, length in _lenient_parts(index):
        try:
            yield digest, checked(digest, view[start : start + length])
        except CorruptDataError:
            continue


def _lenient_parts(index: bytes) -> list[tuple[bytes, int, int]]:
    payload = index[len(INDEX_MAGIC) :]
    try:
        parts = decode_parts(payload[: len(payload) // PART.size * PART.size])
    except CorruptDataError:
        return []
    placed, start = [], len(PACK_MAGIC)
    for digest, length in parts:
        placed.append((digest, start, length))
        start += length
    return placed


def _remake_index(bad: bytes, body: bytes) -> bytes:
    """An index with the digests that the objects in the pack really have, by the lengths that are left of it."""
    view = memoryview(body)
    parts = [(digest_of(view[start : start + length]), length) for _, start, length in _lenient_parts(bad)]
    return INDEX_MAGIC + encode_parts(parts)
