"""Copies of requests for a revision in the shadow: asked after the answer, and only as far as there is room."""

import logging
import threading
import time
from collections import deque

import msgspec
from msgspec import Struct

from penstock.core.ids import PredictionId
from penstock.predictions.blocks import STATUSES, Block, pack
from penstock.predictions.segment_log import SegmentLog
from penstock.serving.calls import Call
from penstock.serving.entries import Output, arrange, rows_of
from penstock.serving.inputs import Rows
from penstock.serving.live import LiveDeployment, LiveRevision

log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()

ROUND_S = 0.01  # of work, then it rests
IDLE_S = 0.05  # until it looks for copies again
PATIENCE = 8  # rows of one copy that may fail by themselves before the rest of them is given up


class ShadowLimits(Struct, frozen=True, kw_only=True):
    """What copies may cost."""

    rows: int = 2_000  # that wait; what comes beyond is dropped
    bytes_held: int = 8 * 1024 * 1024  # of the bodies of those that wait
    duty: float = (
        0.03  # share of one processor that copies take: callers may have to wait for the interpreter meanwhile
    )


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
    """Asks revisions in the shadow, on one thread that rests most of the time.

    It rests by the clock, not by the processor: where a machine is busy a copy takes longer, and fewer are taken. Each
    copy is asked by itself, so that its time is that of one request. One that fails is logged, and nobody else hears.
    """

    def __init__(self, segments: SegmentLog, limits: ShadowLimits | None = None) -> None:
        self._segments = segments
        self._limits = limits or ShadowLimits()
        self._waiting: deque[Copy] = deque()
        self._rows = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self.dropped = 0  # rows

    def offer(self, copy: Copy) -> None:
        """Queue a copy, or drop and count it where too much waits already; takes no time."""
        count = len(copy.answered)
        with self._lock:
            if self._rows + count > self._limits.rows or self._bytes + copy.size > self._limits.bytes_held:
                self.dropped += count
                return
            self._waiting.append(copy)
            self._rows += count
            self._bytes += copy.size
        if self._thread is None and not self._stopped.is_set():
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

    def step(self, seconds: float = ROUND_S) -> bool:
        """Ask for some copies, one at least, and log what came; whether there was any."""
        done: list[tuple[Copy, list[Output], bytes, int]] = []
        begun = time.perf_counter()
        while (not done or time.perf_counter() - begun < seconds) and not self._stopped.is_set():
            copy = self._take()
            if copy is None:
                break
            started = time.perf_counter()
            outputs, statuses = _ask(copy)
            done.append((copy, outputs, statuses, int((time.perf_counter() - started) * 1e6)))
        for name in {copy.live.name for copy, *_ in done}:
            self._segments.append(name, _pack([held for held in done if held[0].live.name == name]))
        return bool(done)

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
            begun = time.perf_counter()
            try:
                had_any = self.step()
            except Exception:  # the outermost loop of a thread: nobody waits for these answers
                log.exception("copies could not be asked")
                had_any = True
            rest_s = max(IDLE_S, (time.perf_counter() - begun) / self._limits.duty) if had_any else IDLE_S


def _ask(copy: Copy) -> tuple[list[Output], bytes]:
    """What a revision says of a copy, and a status for each row; rows at fault are found by themselves."""
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
    return [problem if output is None else output for output in found], statuses


def _pack(done: list[tuple[Copy, list[Output], bytes, int]]) -> Block:
    """What came of some copies of one deployment, for the log."""
    sizes = [len(copy.answered) for copy, *_ in done]
    has_keys = any(copy.keys for copy, *_ in done)

    def spread(values: list[int], kind: str) -> bytes:
        return pack([value for value, size in zip(values, sizes, strict=True) for _ in range(size)], kind)

    return Block(
        rows=sum(sizes),
        at_us=spread([copy.at_us for copy, *_ in done], "<i8"),
        latency_us=spread([latency_us for *_, latency_us in done], "<i4"),
        revisions=spread([copy.revision.route.number for copy, *_ in done], "<i4"),
        inputs=[text for copy, *_ in done for text in copy.rows.texts()],
        outputs=[[_encoder.encode(output).decode() for _, outputs, *_ in done for output in outputs]],
        keys=[key for copy, *_ in done for key in copy.keys or [""] * len(copy.answered)] if has_keys else [],
        statuses=b"".join(statuses for _, _, statuses, _ in done),
        answered=[name for copy, *_ in done for name in copy.answered],
    )
