"""Who is keeping objects in a store just now, and may not yet have said what they are for.

`leases/PROCESS.BEGUN.AWAKE.BEAT` is an empty blob, whose name says all: a process, since when it writes, since when it
has been awake without a pause, and when it was last heard of, in milliseconds. A process that is stopped, or whose
machine sleeps, is not heard of, and knows nothing of what was condemned meanwhile.
"""

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path

from msgspec import Struct

from penstock.core.errors import PenstockError
from penstock.core.ids import new_id
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.format import digest_of

FOLDER = "leases/"
BEAT_S = 60.0
PAUSE_S = 3 * BEAT_S  # between two beats; a longer one means that the process stood still
HOLD_S = 3600.0  # for which a process that is awake may rely on an object before it says what it is for
FOREIGN_S = 86_400.0  # after which a process on another machine that was not heard of counts as dead
SKEW_S = 300.0  # by which the clocks of two machines may differ

Now = Callable[[], float]  # seconds since 1970


class Lease(Struct, frozen=True):
    """One process that writes; moments in seconds since 1970."""

    process: str  # its machine, number, start, and a number of its own
    begun: float
    awake: float
    beat: float

    @property
    def key(self) -> str:
        """The key of its blob."""
        return f"{FOLDER}{self.process}.{int(self.begun * 1000)}.{int(self.awake * 1000)}.{int(self.beat * 1000)}"

    def allows(self, since: float, grace_s: float, asked_at: float) -> bool:
        """Whether what is condemned since a moment may go, for all that this process may rely on.

        It may where the process began later, and so knew of it; or where it had been awake for long enough since, when
        the references were asked for that do not name it.
        """
        if self.begun >= since + SKEW_S:
            return True
        return min(self.beat, asked_at) - max(since, self.awake) >= max(grace_s, HOLD_S)


class WriterLease:
    """The lease of this process in a store; a thread keeps it alive from `take` on, until `release` or its end."""

    def __init__(self, blobs: BlobStore, *, now: Now = time.time, beats: bool = True) -> None:
        self._blobs = blobs
        self._now = now
        self._beats = beats
        self._process = f"{this_process()}-{new_id()[-8:]}"
        self._lock = threading.Lock()
        self._held: Lease | None = None
        self._ended = threading.Event()

    def take(self) -> None:
        """Hold the lease from now on; errors as `BlobStore.put_if_absent`."""
        with self._lock:
            if self._held is not None:
                return
            now = self._now()
            self._put(Lease(self._process, now, now, now))
        if self._beats:
            weakref.finalize(self, _release, self._blobs, self._process, self._ended)  # at the end of the process, too
            threading.Thread(target=_keep_alive, args=(weakref.ref(self), self._ended), daemon=True).start()

    def beat(self) -> None:
        """Say that the process lives."""
        with self._lock:
            before = self._held
            if before is None:
                return
            now = self._now()
            awake = before.awake if now - before.beat <= PAUSE_S else now
            self._put(Lease(self._process, before.begun, awake, now))
            if self._held is not None and self._held.key != before.key:
                self._blobs.delete(before.key)

    def release(self) -> None:
        """Let go: all that was kept has its reference, or never will."""
        with self._lock:
            self._held = None
            ended, self._ended = self._ended, threading.Event()
        _release(self._blobs, self._process, ended)

    def _put(self, lease: Lease) -> None:
        self._blobs.put_if_absent(lease.key, b"")
        self._held = lease


def list_leases(
    blobs: BlobStore, now: float, is_running: Callable[[str], bool | None]
) -> tuple[list[Lease], list[str]]:
    """The leases of processes that may live, the newest of each; and the keys that are of no use any more.

    Args:
        blobs: the store.
        now: seconds since 1970.
        is_running: whether a process runs; None when that cannot be told from here.
    """
    newest: dict[str, Lease] = {}
    useless = []
    for key in blobs.list_keys(FOLDER):
        lease = _parse(key)
        if lease is None:
            continue
        known = newest.get(lease.process)
        if known is not None:
            useless.append(min(known, lease, key=lambda each: each.beat).key)
        newest[lease.process] = lease if known is None else max(known, lease, key=lambda each: each.beat)
    alive = []
    for lease in newest.values():
        runs = is_running(lease.process)
        if runs or (runs is None and now - lease.beat < FOREIGN_S):
            alive.append(lease)
        else:
            useless.append(lease.key)
    return alive, useless


def this_process() -> str:
    """This process, so that another one on this machine can tell whether it still runs."""
    return f"{_node()}-{os.getpid()}-{_start_of(os.getpid())}"


def is_running(process: str) -> bool | None:
    """Whether a process runs; None when it is one of another machine."""
    node, number, start, *_ = process.split("-")
    if node != _node():
        return None
    return _start_of(int(number)) == start


def _parse(key: str) -> Lease | None:
    try:
        process, begun, awake, beat = key.removeprefix(FOLDER).split(".")
        _, number, _, _ = process.split("-")
        int(number)
        return Lease(process, int(begun) / 1000, int(awake) / 1000, int(beat) / 1000)
    except ValueError:
        return None


@cache
def _node() -> str:
    """This machine since it was started, and the name space of its processes' numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = space = ""
    return digest_of(f"{socket.gethostname()} {boot} {space}".encode()).hex()[:16]


def _start_of(number: int) -> str:
    """When a process started, in ticks since the machine did; a number that is used again has another one."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _keep_alive(lease: "weakref.ref[WriterLease]", ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        held = lease()
        if held is None:
            return
        try:
            held.beat()
        except PenstockError:
            continue  # the store cannot be reached; a lease that is not heard of protects the more
        finally:
            del held


def _release(blobs: BlobStore, process: str, ended: threading.Event) -> None:
    ended.set()
    try:
        for key in list(blobs.list_keys(f"{FOLDER}{process}.")):
            blobs.delete(key)
    except PenstockError:
        return  # it is found to be dead by who collects
