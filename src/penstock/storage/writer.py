"""The one writer of a process: callers queue up, and one transaction commits for all that waited."""

import asyncio
import queue
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial

from penstock.core.errors import UnavailableError
from penstock.storage.dialect import Dialect
from penstock.storage.groups import GroupWriter, Job, Line

GROUP_LIMIT = 2_000  # jobs; bounds how long the first caller of a group waits for the last
QUEUE_LIMIT = 50_000  # jobs; beyond this, waiting would only make it worse
LED_ROWS = 200  # the most that an event loop writes itself
LED_S = 0.002  # the longest that it stands still for that, as a rule


class Writer:
    """Forms groups of what waits, and writes one at a time: on a thread of its own, or on the caller's event loop.

    An event loop that has small records writes those of one turn itself, as long as nothing else waits and commits are
    quick: waking up a thread and being woken by it would cost more than the write. It never waits for another writer,
    and leaves everything else, and whatever goes wrong, to the thread.
    """

    def __init__(self, dialect: Dialect, now: Callable[[], datetime]) -> None:
        self.groups = GroupWriter(dialect, now)
        self._line = Line(dialect.open_for_write)
        self._led_line = None if dialect.is_remote else Line(partial(dialect.open_for_write, waits=False))
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.waiting = self._jobs.qsize  # how many jobs are queued
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_wanted = False  # whether the thread has something to do
        self._closed = False
        self._turn = threading.Lock()  # held while a group is written
        self._led: dict[asyncio.AbstractEventLoop, list[Job]] = {}  # what each loop has gathered in this turn

    def submit(self, job: Job) -> None:
        """Queue a job; its future is resolved after the commit.

        Raises:
            UnavailableError: too many writes wait already, or the database is closed.
        """
        with self._lock:
            if self._closed:
                raise UnavailableError("the database is closed")
            if self._jobs.qsize() >= QUEUE_LIMIT:
                raise UnavailableError(f"more than {QUEUE_LIMIT} writes wait already", hint="try again in a moment")
            self._put(job)

    def submit_record(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """As `submit`, for a record of a caller on the running event loop."""
        if self._led_line is None or self._is_wanted or self._closed or self.groups.pace_s > LED_S:
            self.submit(job)
            return
        gathered = self._led.get(loop)
        if gathered is None:
            self._led[loop] = [job]
            loop.call_soon(self._lead, loop)  # after all that arrived in the same turn
        else:
            gathered.append(job)

    def is_writing_here(self) -> bool:
        """Whether the caller runs inside a write; waiting for another one there would never end."""
        return self.groups.writing == threading.get_ident()

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._lock:
            self._closed = True
            self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        if self._led_line is not None:
            with self._turn:
                self._led_line.drop()

    def _put(self, job: Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="penstock-writer", daemon=True)
            self._thread.start()
        self._is_wanted = True
        self._jobs.put(job)

    def _lead(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write what a loop has gathered, or leave it to the thread."""
        group = [job for job in self._led.pop(loop) if not job.future.cancelled()]
        if not group:
            return
        if sum([job.rows for job in group]) <= LED_ROWS and not self._is_wanted and self._turn.acquire(blocking=False):
            try:
                assert self._led_line is not None
                if not self._closed and self.groups.try_here(group, self._led_line):
                    return
            finally:
                self._turn.release()
        with self._lock:
            if not self._closed:
                for job in group:
                    self._put(job)
                return
        for job in group:
            if not job.future.cancelled():
                job.future.set_exception(UnavailableError("the database is closed"))

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            group = [job for job in group if job.begin()]
            if group:
                with self._turn:
                    self.groups.write(group, self._line)
        self._line.drop()

    def _next_group(self) -> list[Job] | None:
        self._is_wanted = not self._jobs.empty()
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < GROUP_LIMIT:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # keep the end mark for the next round
                break
            group.append(job)
        return group
