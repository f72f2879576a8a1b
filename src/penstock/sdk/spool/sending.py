"""The spool of a run that goes on: calls append to it, and a thread delivers what they appended."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from penstock.catalogue.services import Services
from penstock.core.errors import NotFoundError, PenstockError, UnavailableError
from penstock.core.ids import RunId
from penstock.sdk.connect import connect_place
from penstock.sdk.spool.courier import EVERYTHING, Courier, explain
from penstock.sdk.spool.folder import SpoolFolder, create_spool
from penstock.sdk.spool.orphans import deliver_orphan, find_orphans
from penstock.sdk.spool.telling import tell
from penstock.sdk.spool.writer import SpoolWriter
from penstock.tracking.deliveries.records import POINTS, Join, Record

PAUSE_S = 0.2  # between deliveries
LONGEST_PAUSE_S = 5.0  # while the server is away
SYNC_EVERY_S = 1.0
LOOK_EVERY_S = 30.0  # for what other processes left behind
AWAY_WAIT_S = 5.0  # how long the end of a run waits for a server that does not answer
_encode = msgspec.msgpack.Encoder().encode


class RunSpool:
    """Takes the records of one run in this process. Safe to use from threads, signal handlers and forked children.

    A forked child that logs gets a spool of its own, which goes on with the run.

    Args:
        root: the folder of spools.
        run_id: whose records these are.
        place: where they shall go: the URL of a server, or a home folder.
        services: the services there; None: they are opened by the thread, when they can be.
        leads: whether this process begins or reopens the run.
    """

    _folder: SpoolFolder
    _writer: SpoolWriter
    _courier: Courier

    def __init__(self, root: Path, run_id: RunId, place: str, services: Services | None, *, leads: bool) -> None:
        self.run_id = run_id
        self._root = root
        self._place = place
        self._given = services
        self._last_at = 0
        self._owner = os.getpid()
        self._open(leads=leads)

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append metrics."""
        with self._writer_now().lock:
            self._writer.append(_encode((POINTS, self.run_id, self._next_moment(), step, values)))

    def append(self, make: Callable[[int], Record]) -> None:
        """Append the record that `make` gives for a moment in microseconds."""
        with self._writer_now().lock:
            self._writer.append(_encode(make(self._next_moment())))

    @property
    def folder(self) -> SpoolFolder:
        """Where this process writes."""
        self._writer_now()
        return self._folder

    @property
    def is_forked_child(self) -> bool:
        """Whether another process has begun the run, and this one is its child."""
        return os.getpid() != self._owner

    @property
    def refused(self) -> int:
        """How many records the server has refused so far."""
        return self._courier.refused

    def flush(self, wait_s: float) -> bool:
        """Wait until all that was appended so far is delivered; False when it is not after `wait_s`."""
        last, deadline = self._writer_now().last, time.monotonic() + wait_s
        while self._courier.delivered < last and not self._done.is_set():
            self._wake.set()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def finish(self, wait_s: float, make: Callable[[int], Record] | None) -> bool:
        """Append the last record and deliver everything, also what forked children left; whether that was done.

        Args:
            wait_s: how long to wait without any progress. What is left then is delivered by this process while it
                lives, and by the next one or `penstock sync` after that.
            make: see `append`; None when this process does not end the run.
        """
        self._barrier = self._writer_now().last
        if make is not None:
            self.append(make)
        self._is_closing = True
        self._wake.set()
        done = self._wait(wait_s)
        if self._writer.dropped:
            tell(f"run {self.run_id}: {self._writer.dropped} records are lost: there was no room on the disk for them")
        if not done:
            count = self._writer.last - self._courier.delivered
            why = f" ({explain(self._failure)})" if self._failure else ""
            tell(
                f"run {self.run_id}: {count} records are not delivered yet{why} and wait in {self._folder.path}; "
                "'penstock sync' delivers them"
            )
        return done

    def forked(self) -> None:
        """This is a child of the process that opened the spool: leave it to that one."""
        self._writer.abandon()
        self._folder.release()
        self._is_forked = True

    def _open(self, *, leads: bool) -> None:
        self._is_forked = False
        self._folder = create_spool(self._root, run_id=self.run_id, place=self._place, leads=leads)
        self._writer = SpoolWriter(self._folder)
        self._courier = Courier(self._folder)
        self._services = self._given
        self._barrier = EVERYTHING
        self._is_closing, self._is_finished = False, False
        self._failure: Exception | None = None
        self._looked_at = -LOOK_EVERY_S
        self._synced_at = time.monotonic()
        self._has_kin = True  # until it was looked for: what was left of this run comes first
        self._wake, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="penstock-spool", daemon=True)
        self._thread.start()

    def _writer_now(self) -> SpoolWriter:
        if self._is_forked:
            self._given = None  # its connections and threads are the parent's
            self._open(leads=False)
            self.append(lambda at: Join(self.run_id, at, reopen=False))
        return self._writer

    def _next_moment(self) -> int:
        """Now in microseconds; never the same twice, so that no two points of a run are alike."""
        now = time.time_ns() // 1_000
        self._last_at = now if now > self._last_at else self._last_at + 1
        return self._last_at

    def _wait(self, wait_s: float) -> bool:
        began = time.monotonic()
        while not self._done.wait(0.02):
            if self._courier.uploads:
                continue
            patience_s = wait_s if self._failure is None else min(wait_s, AWAY_WAIT_S)
            if time.monotonic() - max(began, self._courier.moved_at) > patience_s:
                return False
        return True

    def _run(self) -> None:
        pause = PAUSE_S
        while not self._is_finished:
            self._wake.wait(pause)
            self._wake.clear()
            try:
                self._sync()
                self._deliver()
                pause, self._failure = PAUSE_S, None
            except Exception as error:  # the outermost loop: whatever it is, the records wait on the disk
                if self._failure is None and not isinstance(error, NotFoundError):
                    tell(f"run {self.run_id}: nothing can be delivered now ({explain(error)}); it is tried again")
                pause, self._failure = min(pause * 2, LONGEST_PAUSE_S), error
        self._close()
        self._done.set()

    def _deliver(self) -> None:
        services = self._services
        if services is None:
            services = self._services = connect_place(self._place, patience_s=0.0)
        if self._has_kin:
            self._deliver_orphans(services, self.run_id)
            self._has_kin = False
        self._courier.deliver(services, min(self._barrier, self._writer.last))
        if self._is_closing:
            self._deliver_orphans(services, self.run_id)
            self._courier.deliver(services, self._writer.last)
        if self._courier.delivered == self._writer.last:
            self._deliver_waiting(services)
        if self._is_closing:
            self._is_finished = True
        elif time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            self._deliver_orphans(services)

    def _deliver_waiting(self, services: Services) -> None:
        """Make room on the disk for what waits for it, or deliver it from memory."""
        while self._writer.waits_for_room:
            self._courier.take(self._writer.make_room(self._courier.delivered))
            self._courier.deliver(services, self._writer.last)

    def _deliver_orphans(self, services: Services, run_id: RunId | None = None) -> None:
        for orphan in find_orphans(self._root, place=self._place, run_id=run_id):
            if self._is_closing and run_id is None:  # others may take their time, the end of this run not
                orphan.release()
                return
            try:
                deliver_orphan(orphan, services)
            except UnavailableError:
                if run_id is not None:  # what is left of this run comes before what goes on with it
                    raise
            except (PenstockError, OSError):
                pass  # it stays, and `penstock sync` tells why

    def _sync(self) -> None:
        if time.monotonic() - self._synced_at >= SYNC_EVERY_S:
            self._synced_at = time.monotonic()
            self._writer.sync()

    def _close(self) -> None:
        self._writer.close()
        self._folder.remove()
        if self._services is not None and self._services is not self._given:
            self._services.close()
            self._services = None
