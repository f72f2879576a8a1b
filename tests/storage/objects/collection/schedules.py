"""A world in which writers, deleters, packers and a collector take turns at each access to a store, as a seed says.

Each actor is a thread that waits for its turn before each access and before each statement of the database, so that a
schedule is one of all the ways in which they may be interleaved, and the same seed gives the same one. Time moves
between turns; a process that is stopped sends no heartbeats meanwhile, and one that is killed never goes on.
"""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobWriter, Data, HeldBlob
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.collection.packing import LoosePacker
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.storage.objects.guarding.leases import BEAT_S, HOLD_S, WriterLease
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.store_view import StoreView
from storage.objects.small_chunks import FixedChunker

GRACE = timedelta(seconds=HOLD_S)
LONGEST_S = HOLD_S * 0.9  # for which a process that is awake holds objects without saying what they are for
STEPS = (0.0, 0.0, 0.0, 1.0, 50.0, 400.0, 900.0, 2_000.0, HOLD_S + 1)  # seconds between two turns


class Killed(BaseException):
    """Ends the thread of a process that was killed."""


class World:
    """The store's bytes, the database's references, the time, and who may take a turn."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.held: dict[str, bytes] = {}
        self.references: dict[str, tuple[Digest, bytes]] = {}  # by owner: the root and what it has to contain
        self.now = 1_000_000_000.0
        self.actors: list[Actor] = []

    def run(self) -> None:
        """Give turns until nobody wants any."""
        for actor in self.actors:
            actor.start()
        while running := [actor for actor in self.actors if not actor.is_done]:
            self._let_time_pass()
            able = [actor for actor in running if not actor.is_stopped]
            if able:
                self.chance.choice(able).take_turn()
            for actor in running:
                actor.maybe_change(self.chance)
        for actor in self.actors:
            actor.finish()

    def _let_time_pass(self) -> None:
        """Move on; who is awake sends heartbeats as time passes."""
        rest = self.chance.choice(STEPS)
        busy = [actor for actor in self.actors if actor.is_awake and actor.holds_for_s is not None]
        rest = min([rest, *(LONGEST_S - (actor.holds_for_s or 0.0) for actor in busy)])  # what is promised to them
        for actor in busy:
            actor.holds_for_s = (actor.holds_for_s or 0.0) + rest
        while rest > 0:
            step = min(rest, BEAT_S)
            self.now += step
            rest -= step
            for actor in self.actors:
                actor.beat()


class Actor:
    """A process: does some work, a turn at a time."""

    def __init__(self, world: World, name: str, work: "Callable[[Actor], None]", *, may_fail: bool = True) -> None:
        self.world = world
        self.lease: WriterLease | None = None
        self.holds_for_s: float | None = None  # while awake; None while it holds nothing
        self.is_stopped = self.is_killed = self.is_done = False
        self._may_fail = may_fail
        self._work = work
        self._mine, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self.failure: BaseException | None = None

    @property
    def is_awake(self) -> bool:
        return not (self.is_stopped or self.is_killed or self.is_done)

    def start(self) -> None:
        self._thread.start()

    def take_turn(self) -> None:
        self._mine.release()
        self._back.acquire()

    def wait_for_turn(self) -> None:
        """Called by the thread before each access."""
        self._back.release()
        self._mine.acquire()
        if self.is_killed:
            raise Killed

    def maybe_change(self, chance: random.Random) -> None:
        """Sometimes be stopped, go on, or be killed."""
        if not self._may_fail:
            return
        if self.is_stopped:
            self.is_stopped = chance.random() > 0.1
        elif chance.random() < 0.03:
            self.is_stopped = True
        elif chance.random() < 0.003:
            self.is_killed = True

    def beat(self) -> None:
        """The heartbeat that a thread of a process sends; it waits while the process is at its lease itself."""
        if self.is_awake and self.lease is not None and not self.lease._lock.locked():
            self.lease.beat()

    def finish(self) -> None:
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _live(self) -> None:
        self._mine.acquire()
        try:
            self._work(self)
        except Killed:
            pass
        except BaseException as error:
            self.failure = error
        self.is_done = True
        self._back.release()


class TurnBlobs:
    """The world's store as one actor sees it."""

    def __init__(self, world: World, actor: Actor | None) -> None:
        self._world = world
        self._actor = actor

    def put_if_absent(self, key: str, data: Data) -> bool:
        self._wait(key)
        return self._world.held.setdefault(key, new := bytes(data)) is new

    def open_writer(self) -> BlobWriter:
        return HeldBlob(self)

    def get(self, key: str) -> bytes:
        self._wait(key)
        if key not in self._world.held:
            raise NotFoundError(f"there is no {key}")
        return self._world.held[key]

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        return self.get(key)[offset : offset + length]

    def list_keys(self, prefix: str) -> Iterator[str]:
        self._wait(prefix)
        return iter(sorted(key for key in self._world.held if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        self._wait(key)
        self._world.held.pop(key, None)

    def size(self, key: str) -> int:
        return len(self.get(key))

    def _wait(self, key: str) -> None:
        # A heartbeat comes from the world's own thread.
        if self._actor is not None and threading.current_thread() is self._actor._thread:
            self._actor.wait_for_turn()


def content(number: int) -> bytes:
    """One of a few contents, so that writers meet: small ones, and large ones that share chunks."""
    if number % 3:
        return b"small %d" % number
    return b"".join(b"%016d" % (index if index % 4 else number) for index in range(30))


def writer_of(owners: list[str], *, begins_after: int = 0) -> Callable[[Actor], None]:
    """A process that keeps things and then says what they are for, one after the other.

    Args:
        owners: what it keeps them for.
        begins_after: turns that it lets pass.
    """

    def work(actor: Actor) -> None:
        world, chance = actor.world, random.Random(actor.world.chance.random())
        for _ in range(begins_after):
            actor.wait_for_turn()
        blobs = TurnBlobs(world, actor)
        actor.lease = WriterLease(blobs, now=lambda: world.now, beats=False)
        store = open_store(blobs, world, actor.lease)
        for owner in owners:
            data = content(chance.randrange(6))
            actor.holds_for_s = 0.0
            root = store.put_bytes(data)
            if chance.random() < 0.5:
                other = store.put_bytes(content(chance.randrange(6)))
                entries = {"a": _entry(root, data), "sub/b": _entry(other, store.get_bytes(other))}
                root = store.put_files(entries)
            actor.wait_for_turn()
            world.references[owner] = root, data
            actor.holds_for_s = None
            for _ in range(chance.randrange(10)):
                actor.wait_for_turn()
        if chance.random() < 0.7:
            actor.lease.release()

    return work


def deleter_of(owners: list[str]) -> Callable[[Actor], None]:
    """Deletes what others have made, when it is there."""

    def work(actor: Actor) -> None:
        for owner in owners:
            for _ in range(actor.world.chance.randrange(12)):
                actor.wait_for_turn()
            actor.world.references.pop(owner, None)

    return work


def collector_of(rounds: int, grace: timedelta) -> Callable[[Actor], None]:
    """Collects again and again."""

    def work(actor: Actor) -> None:
        for _ in range(rounds):
            collect(actor.world, actor, grace)

    return work


def packer_of(rounds: int) -> Callable[[Actor], None]:
    """Packs loose objects again and again; without the right that keeps it from doing so beside a collection."""

    def work(actor: Actor) -> None:
        for _ in range(rounds):
            for _ in range(actor.world.chance.randrange(60)):
                actor.wait_for_turn()
            view = StoreView(TurnBlobs(actor.world, actor), AtOnce(), gap=0)  # type: ignore[arg-type]
            LoosePacker(view.blobs, fewest=1)._step(view)

    return work


def collect(world: World, actor: Actor | None, grace: timedelta) -> None:
    """One collection in the world; the references are one statement of the database."""

    def references() -> list[Digest]:
        if actor is not None:
            actor.wait_for_turn()
        return [root for root, _ in world.references.values()]

    def runs(process: str) -> bool:
        living = [each.lease for each in world.actors if not (each.is_killed or each.is_done)]
        return any(lease is not None and lease._process == process for lease in living)

    InTurn(
        TurnBlobs(world, actor),
        references,
        grace=grace,
        now=lambda: world.now,
        runs=runs,
    ).run()


class InTurn(Collector):
    """A collector whose reads are made in its own thread, as turns are given to threads."""

    def run(self, *, dry_run: bool = False) -> object:  # type: ignore[override]
        return self._run(AtOnce(), dry_run=dry_run)  # type: ignore[arg-type]


class AtOnce:
    """An executor that does its work when it is given it."""

    def submit(self, work: Callable[..., object], *args: object) -> object:
        from concurrent.futures import Future

        done: Future[object] = Future()
        done.set_result(work(*args))
        return done


def open_store(blobs: TurnBlobs, world: World, lease: WriterLease | None = None) -> ObjectStore:
    return ObjectStore(blobs, chunker=FixedChunker(64), pack_size=200, lease=lease, now=lambda: world.now)


def _entry(digest: Digest, data: bytes) -> TreeEntry:
    return TreeEntry("", EntryKind.FILE, len(data), digest)
