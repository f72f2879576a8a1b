"""Copies of requests for a revision in the shadow: asked after the answer, and only as far as there is room."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct

from penstock.core.errors import PenstockError
from penstock.core.ids import PredictionId
from penstock.predictions.blocks import STATUSES, Block, Columns, Packed, pack
from penstock.predictions.log import PredictionLog
from penstock.serving.calls import Call
from penstock.serving.entries import Output, arrange, pack_outputs, rows_of
from penstock.serving.inputs import Rows
from penstock.serving.live import LiveDeployment, LiveRevision
from penstock.serving.pace import Pace

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()

IDLE_S = 0.05  # until it looks for copies again
LOOK_S = 0.001  # until it looks again whether a request is under way
PATIENCE_S = 0.05  # with a gateway that is never without one
PAUSE_S = 0.005  # from an answer to its copy, and between copies on the event loop
SHORT_S = 0.0005  # that nobody notices whom it happens to
PATIENCE = 8  # rows of one copy that may fail by themselves before the rest of them is given up


class ShadowLimits(Struct, frozen=True, kw_only=True):
    """What copies may cost."""

    rows: int = 2_000  # that wait; what comes beyond is dropped
    bytes_held: int = 8 * 1024 * 1024  # of the bodies of those that wait
    # Of the time by the clock, as callers may have to wait for the interpreter meanwhile.
    duty: float = 0.06
    slow_duty: float = 0.008  # of copies that take so long that it is noticed: by fewer than one caller in a hundred


class Copy(Struct, frozen=True):
    """A request that was answered, for a revision in the shadow."""

    live: LiveDeployment
    revision: LiveRevision
    call: Call
    rows: Rows  # as the stable revision reads them
    keys: list[str]
    at_us: int
    answered: list[PredictionId]
    size: int  # of its body

    def read(self) -> Rows:
        """The rows as the revision in the shadow reads them."""
        return self.rows if self.revision.fits(self.live.stable) else self.call.read_rows(self.revision.decoder)


class ShadowRunner:
    """Asks revisions in the shadow, one copy at a time, in moments in which no request is under way.

    A fast form that is quick is asked on the event loop: another thread would take a processor, and the interpreter,
    from those who ask. Any other revision is asked on one thread that rests most of the time, as nobody knows how long
    it takes. It rests by the clock, not by the processor: where a machine is busy a copy takes longer, and fewer are
    taken. One that fails is logged, and nobody else hears.

    Args:
        segments: the prediction log.
        limits: what copies may cost.
        is_idle: whether no request is under way.
    """

    def __init__(
        self,
        segments: PredictionLog,
        limits: ShadowLimits | None = None,
        is_idle: Callable[[], bool] = lambda: True,
    ) -> None:
        self._segments = segments
        self._limits = limits or ShadowLimits()
        self._is_idle = is_idle
        self._waiting: deque[Copy] = deque()
        self._rows = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._paces: WeakKeyDictionary[LiveRevision, Pace] = WeakKeyDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None  # on which requests are answered
        self._due_on: asyncio.AbstractEventLoop | None = None  # that will look for copies
        self._stopped = threading.Event()
        self.dropped = 0  # rows

    def offer(self, copy: Copy) -> None:
        """Queue a copy, or drop and count it where too much waits already. Call it on the event loop."""
        count = len(copy.answered)
        with self._lock:
            if self._rows + count > self._limits.rows or self._bytes + copy.size > self._limits.bytes_held:
                self.dropped += count
                return
            self._waiting.append(copy)
            self._rows += count
            self._bytes += copy.size
        self._loop = asyncio.get_running_loop()
        if self._next_is_quick():
            self._look_soon()
        elif self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="penstock-shadow", daemon=True)
            self._thread.start()

    def forget(self, keep: list[LiveRevision]) -> None:
        """Drop the copies for revisions that are in the shadow no more."""
        with self._lock:
            kept = [copy for copy in self._waiting if any(copy.revision is held for held in keep)]
            self._waiting = deque(kept)
            self._rows = sum(len(copy.answered) for copy in kept)
            self._bytes = sum(copy.size for copy in kept)

    def stop(self) -> None:
        """End; what waits still is forgotten."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def step(self) -> float:
        """Ask for one copy and log what came; how many seconds that took, 0 where there was none."""
        copy = self._take()
        if copy is None:
            return 0.0
        started = time.perf_counter()
        said = _ask_at_once(copy) or _ask_apart(copy)
        took_s = time.perf_counter() - started
        self._segments.append(copy.live.name, _pack(copy, said, took_s), said.columns)
        whole_s = time.perf_counter() - started
        self._paces.setdefault(copy.revision, Pace()).see(len(copy.answered), whole_s * 1000)
        return whole_s

    def _next_is_quick(self) -> bool:
        """Whether the event loop can bear the copy that is next."""
        with self._lock:
            copy = self._waiting[0] if self._waiting else None
        if copy is None or not getattr(copy.revision.model, "is_fast", False):
            return False
        pace = self._paces.get(copy.revision)
        return pace is not None and pace.expect(len(copy.answered)) <= SHORT_S * 1000

    def _look_soon(self, pause_s: float = PAUSE_S) -> None:
        """See to it that the event loop, which this runs on, looks for copies after a while."""
        loop = asyncio.get_running_loop()
        if self._due_on is not loop:
            self._due_on = loop
            loop.call_later(pause_s, self._look, loop.time() + pause_s + PATIENCE_S)

    def _look(self, until: float) -> None:
        """Ask for some copies on the event loop, unless a request is under way."""
        self._due_on = None
        loop = asyncio.get_running_loop()
        if self._stopped.is_set() or not self._next_is_quick():
            return
        if not self._is_idle() and loop.time() < until:
            self._due_on = loop
            loop.call_later(LOOK_S, self._look, until)
            return
        took_s = 0.0
        try:
            while took_s < SHORT_S and self._next_is_quick():
                took_s += self.step()
        except PenstockError as error:  # the log cannot be written; nobody waits for these answers
            log.warning("copies could not be asked: %s", error)
        if self._waiting:
            self._look_soon(max(PAUSE_S, took_s / self._limits.duty))

    def _take(self) -> Copy | None:
        with self._lock:
            if not self._waiting:
                return None
            copy = self._waiting.popleft()
            self._rows -= len(copy.answered)
            self._bytes -= copy.size
            return copy

    def _run(self) -> None:
        rest_s = IDLE_S
        while not self._stopped.wait(rest_s):
            if self._next_is_quick() and self._hand_over():
                rest_s = IDLE_S
                continue
            if self._waiting:
                self._wait_until_idle()
            begun = time.perf_counter()
            try:
                took_s = self.step()
            except Exception:  # the outermost loop of a thread: nobody waits for these answers
                log.exception("copies could not be asked")
                took_s = time.perf_counter() - begun
            duty = self._limits.duty if took_s <= SHORT_S else self._limits.slow_duty
            rest_s = took_s / duty or IDLE_S

    def _hand_over(self) -> bool:
        """Leave what is next to the event loop; whether it lives."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._look_soon)
        except RuntimeError:
            return False
        return self._loop is not None

    def _wait_until_idle(self) -> None:
        until = time.perf_counter() + PATIENCE_S
        while not self._is_idle() and time.perf_counter() < until and not self._stopped.wait(LOOK_S):
            pass


class _Said(Struct, frozen=True):
    """What a revision says of a copy, in the form of a block of the log."""

    columns: Columns | None  # None: inputs and outputs are texts
    inputs: Packed
    outputs: list[Packed]
    statuses: bytes


def _ask_at_once(copy: Copy) -> _Said | None:
    """As arrays; None where a row fails, or the log has no such form for what the model says."""
    revision = copy.revision
    if revision.columns is None:
        return None
    try:
        rows = copy.read()
        columns, packed = pack_outputs(revision.columns, revision.predict(rows))
    except Exception:  # whatever a model raises: it is asked again, row by row
        return None
    matrix = copy.rows.exact_matrix() if revision.fits(copy.live.stable) else None
    inputs: Packed = copy.rows.texts() if matrix is None else matrix.tobytes()
    statuses = bytes([STATUSES.index("shadow")]) * len(copy.answered)
    return None if columns is None else _Said(columns, inputs, packed, statuses)


def _ask_apart(copy: Copy) -> _Said:
    """As texts, and a status for each row; rows at fault are found by themselves."""
    found: list[Output | None] = [None] * len(copy.answered)
    failed: list[str] = []

    def ask(rows: Rows, places: list[int]) -> None:
        try:
            outputs = rows_of(copy.revision.predict(rows))
            arrange(outputs, copy.revision, copy.live.route.rules, copy.call.parameters)
        except Exception as error:  # whatever a model raises
            failed.append(type(error).__name__)
            if len(places) > 1 and len(failed) < PATIENCE:
                for place in range(len(places)):
                    ask(rows.take([place]), [places[place]])
            return
        for place, output in zip(places, outputs, strict=True):
            found[place] = output

    try:
        ask(copy.read(), list(range(len(found))))
    except Exception as error:  # it takes other columns than those that were sent
        failed.append(type(error).__name__)
    if failed:
        fields = {"deployment": copy.live.name, "revision": copy.revision.route.number, "problem": failed[0]}
        log.warning("a revision in the shadow failed: %s", failed[0], extra=fields)
    problem: Output = {"error": failed[0] if failed else ""}
    statuses = bytes(STATUSES.index("shadow_error" if output is None else "shadow") for output in found)
    texts = [_encoder.encode(problem if output is None else output).decode() for output in found]
    return _Said(None, copy.rows.texts(), [texts], statuses)


def _pack(copy: Copy, said: _Said, took_s: float) -> Block:
    """What came of a copy, for the log."""
    rows = len(copy.answered)
    return Block(
        rows=rows,
        at_us=pack([copy.at_us] * rows, "<i8"),
        latency_us=pack([int(took_s * 1e6)] * rows, "<i4"),
        revisions=pack([copy.revision.route.number] * rows, "<i4"),
        inputs=said.inputs,
        outputs=said.outputs,
        keys=copy.keys,
        statuses=said.statuses,
        answered=list(copy.answered),
    )
