"""Copying what some roots need from one store to another: what is missing, and a root when all it needs is there."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from penstock.core import failpoints
from penstock.core.errors import NotFoundError, PenstockError, UnavailableError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.format import parse_digest
from penstock.storage.objects.pack import PACK_SIZE, pack_key
from penstock.storage.objects.pack_builder import BuiltPack, PackBuilder
from penstock.storage.objects.reach import Walker
from penstock.storage.objects.store_view import IN_FLIGHT, Location, StoreView, check_pack
from penstock.storage.objects.transfer.plan import Plan, make_plan
from penstock.storage.objects.transfer.types import Progress, Tell, Transferred

_NEAR_GAP, _FAR_GAP = 64 << 10, 512 << 10  # bytes
_PACKS_IN_FLIGHT = 4  # each is held in memory meanwhile


def push(
    local: BlobStore, remote: BlobStore, roots: Sequence[Digest], tell: Tell = lambda progress: None
) -> Transferred:
    """Copy what the roots need from a store that is near to one that is far.

    Packs go as they are where most of one is missing there; what else is missing is packed on the way, loose objects
    as well. What was copied is never copied again, however a transfer ended.

    Raises:
        NotFoundError, CorruptDataError: something that the roots need is not here, or not as it was written.
        UnavailableError: one of the stores cannot be reached; start again, and only the rest is copied.
    """
    with ThreadPoolExecutor(IN_FLIGHT) as readers:
        near = StoreView(local, readers, gap=_NEAR_GAP)
        far = StoreView(remote, readers, gap=_FAR_GAP)
        return _Transfer(near, far, tell).run(Walker(near), roots)


def pull(
    local: BlobStore,
    remote: BlobStore,
    roots: Sequence[Digest],
    tell: Tell = lambda progress: None,
    *,
    hints: Iterable[str] = (),
) -> Transferred:
    """Copy what the roots need from a store that is far to one that is near; errors as `push`.

    Args:
        local: gets what it lacks.
        remote: has it.
        roots: what is needed, with all that it leads to.
        tell: told how far it is.
        hints: packs of the remote that probably hold it; others are looked into only where they do not.
    """
    with ThreadPoolExecutor(IN_FLIGHT) as readers:
        near = StoreView(local, readers, gap=_NEAR_GAP)
        far = StoreView(remote, readers, gap=_FAR_GAP)
        near.load()
        far.load(hints)
        return _Transfer(far, near, tell).run(Walker(near, far), roots)


class _Transfer:
    """One transfer, from a source to a target."""

    def __init__(self, source: StoreView, target: StoreView, tell: Tell) -> None:
        self._source = source
        self._target = target
        self._tell = tell
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._done = self._total = 0
        self._written: dict[str, int] = {}  # bytes of each pack
        self._held_by: set[str] = set()

    def run(self, walker: Walker, roots: Sequence[Digest]) -> Transferred:
        wanted = [parse_digest(root) for root in roots]
        reached = walker.walk(wanted)
        if reached.unreadable:
            raise reached.unreadable[0].error
        missing = self._find_missing(reached.digests)
        plan = make_plan(self._source, self._locate(missing), wanted, frozenset())
        self._total = plan.total
        with ThreadPoolExecutor(_PACKS_IN_FLIGHT) as writers:
            try:
                self._copy(plan, writers)
            except BaseException:
                self._stopped.set()
                writers.shutdown(cancel_futures=True)
                raise
        self._advance(self._total - self._done)
        return Transferred(
            objects=len(reached.digests),
            present=len(reached.digests) - len(missing),
            packs=len(self._written),
            size=sum(self._written.values()),
            held_by=tuple(sorted(self._held_by | self._written.keys())),
        )

    def _find_missing(self, needed: Iterable[bytes]) -> list[bytes]:
        """What the target has not; a pack of the same name holds the same, so that its index need not be fetched."""
        shared = self._target.packs & self._source.indexes.keys()
        there = {digest: name for name in shared for digest, _ in self._source.objects_of(name)}
        missing = [digest for digest in needed if not self._is_held(there.get(digest))]
        if missing:
            self._target.load(self._target.packs - shared)
            places = ((digest, self._target.find_packed(digest)) for digest in missing)
            missing = [digest for digest, place in places if not self._is_held(place.pack if place else None)]
        if missing:
            missing = [digest for digest in missing if digest not in self._target.loose]
        return missing

    def _is_held(self, pack: str | None) -> bool:
        if pack is not None:
            self._held_by.add(pack)
        return pack is not None

    def _locate(self, missing: Iterable[bytes]) -> Iterable[tuple[bytes, Location]]:
        for digest in missing:
            location = self._source.locate(digest)
            if location is None:
                raise NotFoundError(f"there is no object {digest.hex()} in the store it should come from")
            yield digest, location

    def _copy(self, plan: Plan, writers: ThreadPoolExecutor) -> None:
        builder = PackBuilder()
        first = _Tasks(writers)
        for name in plan.packs:
            first.start(self._copy_pack, name)
        self._gather(plan.objects, builder, first)
        first.finish()
        self._gather(plan.last_objects, builder, first)
        last = _Tasks(writers)
        if not builder.is_empty:
            last.start(self._publish, builder.build())
        for name in plan.last_packs:
            last.start(self._copy_pack, name)
        last.finish()

    def _gather(self, objects: Sequence[tuple[bytes, Location]], builder: PackBuilder, tasks: "_Tasks") -> None:
        for digest, stored in self._source.read(objects):
            if isinstance(stored, PenstockError):
                raise stored
            builder.add(digest, stored)
            if builder.size >= PACK_SIZE:
                tasks.start(self._publish, builder.build())

    def _copy_pack(self, name: str) -> None:
        self._check_going()
        body = self._source.blobs.get(pack_key(name))
        check_pack(self._source.objects_of(name), name, body)
        self._publish(BuiltPack(name, body, self._source.indexes[name]))

    def _publish(self, pack: BuiltPack) -> None:
        self._check_going()
        failpoints.hit("objects.transfer.pack")
        pack.publish(self._target.blobs)
        failpoints.hit("objects.transfer.published")
        with self._lock:
            self._written[pack.name] = len(pack.body)
        self._advance(len(pack.body))

    def _advance(self, size: int) -> None:
        with self._lock:
            self._done = min(self._done + size, self._total)
            self._tell(Progress(done=self._done, total=self._total))

    def _check_going(self) -> None:
        if self._stopped.is_set():
            raise UnavailableError("the transfer was stopped", hint="start it again, and only the rest is copied")


class _Tasks:
    """Work in the background; few pieces wait, as each holds a pack."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._running: list[Future[None]] = []

    def start(self, work: Callable[..., None], item: object) -> None:
        """Have a piece done; waits while too many others are."""
        while len(self._running) >= 2 * _PACKS_IN_FLIGHT:
            self._running.pop(0).result()
        self._running.append(self._pool.submit(work, item))

    def finish(self) -> None:
        """Wait for all; the first error is raised."""
        for future in self._running:
            future.result()
        self._running = []
