"""What server, gateway and worker share as processes: they die with their supervisor, and log in one form."""

import contextlib
import ctypes
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from penstock.core.errors import PenstockError, UnavailableError

PR_SET_PDEATHSIG = 1
_LOOK_S = 0.1
_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def follow_parent() -> None:
    """Be told to stop when the supervisor dies, however it dies; without one nothing happens."""
    parent = os.environ.get("PENSTOCK_PARENT", "")
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before we asked
        os.kill(os.getpid(), signal.SIGTERM)


class StopSignal:
    """Set once and for all, by a signal handler too.

    A `threading.Event` may not be: it waits for its own lock, for ever where the handler interrupts a thread that holds
    it, as one does that waits for the event or that an earlier signal has just made set it.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Let those who wait go on, within a tenth of a second."""
        self._is_set = True

    def wait(self, timeout_s: float = math.inf) -> bool:
        """Whether it is set, at once or after at most so many seconds."""
        deadline = time.monotonic() + timeout_s
        while not self._is_set and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
        return self._is_set


def hear_stop() -> StopSignal:
    """From now on SIGTERM and SIGINT end nothing; they set what is returned."""
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def run_process(work: Callable[[], None]) -> None:
    """Do a process's work as a child of the supervisor; what it refuses is one line of its log, and exit code 1."""
    log_to_stderr()
    follow_parent()
    try:
        work()
    except PenstockError as error:
        logging.getLogger(__name__).error("%s", error)
        sys.exit(1)


def log_to_stderr(level: str = "INFO") -> None:
    """One line an event: time, level, logger, message and the fields given as `extra`; `PENSTOCK_LOG_LEVEL` decides."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(_FORM))
    logging.basicConfig(level=os.environ.get("PENSTOCK_LOG_LEVEL", level), handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@contextlib.contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Our own log goes to the end of a file while the block runs, in the same form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(_Formatter(_FORM))
    ours = logging.getLogger("penstock")
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        handler.close()


_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = [f"{name}={value}" for name, value in record.__dict__.items() if name not in _STANDARD]
        head, newline, trace = line.partition("\n")
        return " ".join([head, *fields]) + newline + trace


class Ticker:
    """Calls a function again and again on a thread of its own: at once while it did something, else after a pause.

    Args:
        name: of the thread, and in the log.
        tick: says whether it did anything.
        pause_s: after a call that did nothing.
        longest_pause_s: pauses double up to this one while there is nothing to do.
    """

    def __init__(
        self, name: str, tick: Callable[[], bool], pause_s: float, *, longest_pause_s: float | None = None
    ) -> None:
        self._tick = tick
        self._pause_s = pause_s
        self._longest_pause_s = longest_pause_s or pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present call."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        log = logging.getLogger(__name__)
        pause_s = self._pause_s
        while not self._stop.is_set():
            try:
                busy = self._tick()
            except UnavailableError as error:
                log.warning("a tick of %s is repeated: %s", self._thread.name, error)
                busy = False
                self._stop.wait(1.0)
            except Exception:  # the outermost loop: the next tick starts from what is stored
                log.exception("a tick of %s failed and is repeated", self._thread.name)
                busy = False
                self._stop.wait(1.0)
            if busy:
                pause_s = self._pause_s
                continue
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, self._longest_pause_s)
