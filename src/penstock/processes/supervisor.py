"""Starts the processes of `penstock up`, starts them again when they die, and stops them together."""

import contextlib
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from penstock.core.errors import UnavailableError
from penstock.processes.child import StopSignal

log = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
HEALTHY_AFTER_S = 20.0  # a process that lived this long starts again without a pause
GIVE_UP_AFTER = 3  # restarts, while they should all be starting
STOP_TIMEOUT_S = 15.0
LOG_LIMIT_BYTES = 20 * 1024 * 1024


class ChildSpec(Struct, frozen=True):
    """One process: what it is called, how it is started, and the sockets it inherits."""

    name: str
    argv: list[str]
    sockets: list[socket.socket]
    environment: dict[str, str]  # added to the supervisor's own


class Child:
    """One process with its log file and its record of restarts."""

    def __init__(self, spec: ChildSpec, logs: Path) -> None:
        self.spec = spec
        self.restarts = -1
        self.log = logs / f"{spec.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_s = 0.0

    @property
    def pid(self) -> int | None:
        """The number of the living process."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process; its output goes to the end of its log file.

        Raises:
            OSError: it cannot be started, or its log not be written.
        """
        self._started_at = time.monotonic()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with open(self.log, "ab") as output:
            self._process = subprocess.Popen(
                self.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[sock.fileno() for sock in self.spec.sockets],
                env=environment | self.spec.environment | {"PENSTOCK_PARENT": str(os.getpid())},
                start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone
            )
        self.restarts += 1

    def restart_if_dead(self) -> int | None:
        """Start the process again when it has died; returns the exit code it died with, or None.

        Raises:
            OSError: it cannot be started just now.
        """
        if self._process is None or (code := self._process.poll()) is None:
            return None
        lived_s = time.monotonic() - self._started_at
        if lived_s > HEALTHY_AFTER_S:
            self._pause_s = 0.0
        if lived_s < self._pause_s:
            return None  # it died soon after its last start: wait before the next one
        self._pause_s = min(max(self._pause_s * 2, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
        self.start()
        return code

    def trim_log(self) -> None:
        """Put a log that has grown large aside; the process goes on writing at the beginning of an empty one."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    def stop(self) -> None:
        """Ask the process to finish."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_stopped(self, deadline: float) -> None:
        """Wait for the end, and kill what does not end in time."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process did not stop in time and is killed", extra={"child": self.spec.name})
            self._process.kill()
            self._process.wait()


class Supervisor:
    """Keeps a set of processes alive until it is told to stop.

    Args:
        specs: in the order of their start; they are stopped in the opposite order.
        logs: the folder of their log files.
        tell: called with a line for people whenever a process dies and is started again.
    """

    def __init__(self, specs: Sequence[ChildSpec], logs: Path, tell: Callable[[str], None]) -> None:
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self._children = [Child(spec, logs) for spec in specs]
        self._tell = tell
        self._stop = StopSignal()

    def start(self) -> None:
        """Start every process."""
        for child in self._children:
            child.start()

    def watch(self) -> None:
        """Keep the processes alive; returns after `request_stop` when all of them have ended."""
        try:
            while not self._stop.wait(0.1):
                for child in self._children:
                    self._tend(child)
        finally:
            self._stop_all()

    def check_started(self) -> None:
        """Look whether the processes stay alive.

        Raises:
            UnavailableError: one ends again and again; says what it wrote last.
        """
        for child in self._children:
            if child.restarts >= GIVE_UP_AFTER:
                told = _last_line(child.log)
                raise UnavailableError(f"the {child.spec.name} does not start: {told}", hint=f"see {child.log}")

    def request_stop(self) -> None:
        """Make `watch` stop everything and return; may be called from a signal handler."""
        self._stop.set()

    @property
    def pids(self) -> dict[str, int | None]:
        """The living processes by name."""
        return {child.spec.name: child.pid for child in self._children}

    def _tend(self, child: Child) -> None:
        with contextlib.suppress(OSError):  # no room for the part that is put aside
            child.trim_log()
        try:
            code = child.restart_if_dead()
        except OSError as error:  # a full disk, too many processes: it may pass
            self._tell(f"{child.spec.name} cannot be started: {error}")
            return
        if code is not None:
            self._tell(f"{child.spec.name} {_describe_end(code)}; started again")

    def _stop_all(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for child in reversed(self._children):
            child.stop()
            child.wait_stopped(deadline)


def _describe_end(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _last_line(log_file: Path) -> str:
    """The end of a log, without the time, level and place that the line begins with."""
    lines = log_file.read_bytes()[-10_000:].decode(errors="replace").split("\n")
    line = next((line for line in reversed(lines) if line.strip()), "it wrote nothing")
    return re.sub(r"^[-\d]+ [:,\d]+ [A-Z]+ [\w.]+: ", "", line)


def child_argv(module: str, *arguments: str) -> list[str]:
    """The command line of a process: this interpreter, with a module of penstock."""
    return [sys.executable, "-m", f"penstock.processes.{module}", *arguments]
