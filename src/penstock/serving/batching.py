"""Adaptive batches: what came in while the last batch ran is the next one, so a lone request waits for nothing.

A fast model answers on the event loop, at the end of the turn after the one that brought the first request: what was
read in these two is one batch. That costs a lone request a look at the sockets, and doubles the batches of many. Where
it would take too long a thread answers, one batch of a revision at a time, and the loop reads the next requests
meanwhile.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from weakref import WeakKeyDictionary

from msgspec import Struct

from penstock.core.errors import PenstockError
from penstock.serving.http import DeadlineError, OverloadedError
from penstock.serving.live import LiveRevision
from penstock.serving.pace import Pace
from penstock.serving.parts import Job, Part

log = logging.getLogger(__name__)
_WAITING = 2  # how much longer by the clock than by the processor a batch on the event loop may take
_LOOK_S = 0.1  # how often those who queue behind a slow batch are looked at


class BatchLimits(Struct, frozen=True, kw_only=True):
    """How large batches grow, and how long they may take."""

    inline_ms: float = 3.0  # a batch that takes no longer runs on the event loop
    batch_ms: float = 100.0  # what a batch on a thread may take, were it more than one request
    batch_rows: int = 10_000
    wait_ms: float = 1000.0  # who would wait longer than this is refused


class Lane:
    """What waits for one revision, and how fast that is. Touched on the event loop only."""

    __slots__ = ("busy_until", "is_busy", "is_due", "pace", "queue", "rows", "work")

    def __init__(self) -> None:
        self.queue: deque[Part] = deque()
        self.rows = 0  # in the queue
        self.is_due = False  # a batch begins soon
        self.is_busy = False  # a batch is on a thread
        self.busy_until = 0.0  # on the clock of time.perf_counter()
        self.work = Pace()  # of the processor: whether the event loop can bear it
        self.pace = Pace()  # of the clock: how long others wait

    def expect_wait_ms(self) -> float:
        """How long what comes now will wait until it is begun."""
        running = max(self.busy_until - time.perf_counter(), 0.0) * 1000 if self.is_busy else 0.0
        return running + (self.pace.expect(self.rows) if self.rows else 0.0)


class Batcher:
    """Brings parts of requests to their models, in batches.

    Args:
        answer: predicts and logs the parts of one batch, all of one revision; says on each what became of it.
        pool: where slow batches run.
        limits: how large batches grow.
    """

    def __init__(self, answer: Callable[[Sequence[Part]], None], pool: Executor, limits: BatchLimits) -> None:
        self._answer = answer
        self._pool = pool
        self._limits = limits
        self._lanes: WeakKeyDictionary[LiveRevision, Lane] = WeakKeyDictionary()

    def submit(self, job: Job) -> "asyncio.Future[None]":
        """Queue a job; the future is done when all its parts are answered. Call it on the event loop.

        Raises:
            OverloadedError: it would wait too long; nothing of it was begun.
        """
        loop = asyncio.get_running_loop()
        lanes = [self._lanes.get(part.revision) or self._add_lane(part.revision) for part in job.parts]
        for part, lane in zip(job.parts, lanes, strict=True):
            if lane.is_busy or lane.queue:  # else it begins at once, however long it takes
                self._check_wait(part, lane)
        done = job.done = loop.create_future()
        job.left = len(lanes)
        for part, lane in zip(job.parts, lanes, strict=True):
            lane.queue.append(part)
            lane.rows += part.count
            if not (lane.is_busy or lane.is_due):
                self._begin_soon(lane)
        return done

    def _begin_soon(self, lane: Lane) -> None:
        """Begin a batch a turn of the loop later: callers who got their answers in this one may have asked again."""
        lane.is_due = True
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._run, lane)

    def _add_lane(self, revision: LiveRevision) -> Lane:
        lane = self._lanes[revision] = Lane()
        return lane

    def _check_wait(self, part: Part, lane: Lane) -> None:
        wait_ms = lane.expect_wait_ms()
        if wait_ms > self._limits.wait_ms:
            raise OverloadedError(
                f"deployment {part.job.live.name!r} has {lane.rows} rows waiting, some {wait_ms / 1000:.1f} s of work",
                hint="try again when Retry-After says",
                retry_after_s=math.ceil(wait_ms / 1000),
            )

    def _run(self, lane: Lane) -> None:
        """Answer what waits, or as much of it as makes one batch."""
        lane.is_due = False
        is_quick = self._is_quick(lane, lane.rows)
        batch, rows = self._take(lane, takes_all=is_quick)
        if not batch:
            return
        if is_quick:
            self._answer_timed(batch, lane, rows)
            self._deliver(batch, lane)
            return
        loop = asyncio.get_running_loop()
        lane.is_busy = True
        lane.busy_until = time.perf_counter() + lane.pace.expect(rows) / 1000
        loop.call_later(_LOOK_S, self._look, lane)
        running = loop.run_in_executor(self._pool, self._answer_timed, batch, lane, rows)
        running.add_done_callback(lambda _: self._end(batch, lane))

    def _end(self, batch: Sequence[Part], lane: Lane) -> None:
        lane.is_busy = False
        self._deliver(batch, lane)

    def _deliver(self, batch: Sequence[Part], lane: Lane) -> None:
        """Tell those who wait, and begin the next batch."""
        for part in batch:
            part.job.finish_part()
        if lane.queue and not lane.is_due:
            self._begin_soon(lane)

    def _is_quick(self, lane: Lane, rows: int) -> bool:
        """Whether the event loop can bear a batch: by the processor, as a busy machine makes all seem slow.

        By the clock as well, with room for that: a model may wait for another process.
        """
        most_ms = self._limits.inline_ms
        if rows > self._limits.batch_rows:
            return False
        return lane.work.expect(rows) <= most_ms and lane.pace.expect(rows) <= _WAITING * most_ms

    def _is_too_much(self, lane: Lane, rows: int) -> bool:
        """Whether a thread should not take so many at once."""
        return rows > self._limits.batch_rows or lane.pace.expect(rows) > self._limits.batch_ms

    def _take(self, lane: Lane, *, takes_all: bool) -> tuple[list[Part], int]:
        """The parts of the next batch, and how many rows they have; whose time is over is answered so."""
        now, rows = time.perf_counter(), 0
        batch: list[Part] = []
        while lane.queue:
            part = lane.queue[0]
            count = part.count
            is_late = part.job.deadline < now
            if batch and not (is_late or takes_all) and self._is_too_much(lane, rows + count):
                break
            lane.queue.popleft()
            lane.rows -= count
            if is_late:
                _expire(part, now)
                continue
            batch.append(part)
            rows += count
        return batch, rows

    def _look(self, lane: Lane) -> None:
        """Answer those whose time is over while a slow batch runs."""
        if not lane.is_busy:
            return
        now = time.perf_counter()
        for part in [part for part in lane.queue if part.job.deadline < now]:
            lane.queue.remove(part)
            lane.rows -= part.count
            _expire(part, now)
        asyncio.get_running_loop().call_later(_LOOK_S, self._look, lane)

    def _answer_timed(self, batch: Sequence[Part], lane: Lane, rows: int) -> None:
        begun, worked = time.perf_counter(), time.thread_time()
        try:
            self._answer(batch)
        except PenstockError as error:  # the log cannot be written, say
            _refuse(batch, error)
        except Exception:  # the outermost loop of a batch
            log.exception("a batch failed")
            _refuse(batch, PenstockError("the gateway failed", hint="see its log"))
        lane.work.see(rows, (time.thread_time() - worked) * 1000)
        lane.pace.see(rows, (time.perf_counter() - begun) * 1000)


def _refuse(batch: Sequence[Part], error: PenstockError) -> None:
    for part in batch:
        if part.error is None and not part.predictions:
            part.error = error


def _expire(part: Part, now: float) -> None:
    waited_ms = (now - part.job.started) * 1000
    part.error = DeadlineError(f"this was not begun within its time, after {waited_ms:.0f} ms", hint="ask again later")
    part.job.finish_part()
