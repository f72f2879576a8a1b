"""Starts a Python process in a sandbox, and ends it."""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import penstock
from penstock.compute.local_process import THREAD_LIMITS
from penstock.compute.sandbox.order import Order
from penstock.compute.sandbox.types import Limits, SandboxMissingError, SandboxPlan
from penstock.compute.types import Result
from penstock.core.errors import UnavailableError

_PACKAGES = str(Path(penstock.__file__).parents[1])  # the folder that penstock is imported from
_ENTER = f"import sys; sys.path.insert(0, {_PACKAGES!r}); from penstock.compute.sandbox.enter import main; main()"
_ENTER_WITHIN_S = 30.0
_HINT = "models that execute code are not run on this system; save the model in a format that executes none"


class SandboxedProcess:
    """A process in a sandbox, which ends when it ends itself, when it is killed, or when this process is gone.

    Attributes:
        channel: this end of a socket pair; the other end is the process's.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", channel: socket.socket, lifeline: int) -> None:
        self.channel = channel
        self._process = process
        self._lifeline = lifeline
        self._lock = threading.Lock()
        self._started_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The process that waits for the one inside and dies with it."""
        return self._process.pid

    def wait(self, timeout_s: float | None = None) -> Result | None:
        """How it ended; None when it has not within `timeout_s`."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        wall_s = time.monotonic() - self._started_at
        return Result(exit_code=code if code >= 0 else None, signal=-code if code < 0 else None, wall_s=wall_s)

    def kill(self) -> None:
        """End it at once, wait until it is gone, and close the channel; one that has ended is left alone."""
        with self._lock:
            if self._lifeline >= 0:
                os.close(self._lifeline)  # the shepherd kills what is inside, and itself
                self._lifeline = -1
        with suppress(OSError):  # wakes whoever reads
            self.channel.shutdown(socket.SHUT_RDWR)
        if self.wait(timeout_s=5.0) is None:
            self._process.kill()
            self._process.wait()
        self.channel.close()


def start_in_sandbox(plan: SandboxPlan, log: Path) -> SandboxedProcess:
    """Start a process in a sandbox, its output added to a file; it was seen from inside that the sandbox holds.

    The number of the process's end of the channel is in its environment as `PENSTOCK_CHANNEL`.

    Raises:
        SandboxMissingError: the system offers no sandbox, or not a whole one; nothing was run.
        UnavailableError: no process can be started just now.
    """
    if sys.platform != "linux":
        raise SandboxMissingError(f"{sys.platform} offers no sandbox that is known here", hint=_HINT)
    plan.folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    report, their_report = os.pipe()
    their_lifeline, lifeline = os.pipe()
    order = _spell_out(plan, theirs.fileno(), their_report, their_lifeline)
    try:
        process = _launch(order, log)
    except OSError as error:
        ours.close()
        os.close(report)
        os.close(lifeline)
        raise UnavailableError(f"no sandboxed process can be started: {error}") from error
    finally:
        theirs.close()
        os.close(their_report)
        os.close(their_lifeline)
    started = SandboxedProcess(process, ours, lifeline)
    try:
        _check_report(report, log)
    except BaseException:
        started.kill()
        raise
    finally:
        os.close(report)
    return started


def _spell_out(plan: SandboxPlan, channel: int, report: int, lifeline: int) -> Order:
    home = str(plan.folder)
    threads = dict.fromkeys(THREAD_LIMITS, str(plan.limits.threads))
    env = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": home,
        "MPLCONFIGDIR": home,
        "NUMBA_CACHE_DIR": home,
        "ORT_DISABLE_TELEMETRY": "1",
        "PENSTOCK_CHANNEL": str(channel),
    }
    return Order(
        argv=[str(plan.python), *plan.argv],
        env={**env, **threads, **plan.env},
        folder=home,
        readable=[
            str(path) for path in (*_interpreter_files(plan.python), *plan.readable, Path(_PACKAGES) / "penstock")
        ],
        listable=[_PACKAGES],
        executable=[str(plan.python.resolve())],
        forbidden=[str(path) for path in plan.forbidden if path.exists()],
        rlimits=_rlimits(plan.limits),
        channel=channel,
        report=report,
        lifeline=lifeline,
    )


def _interpreter_files(python: Path) -> list[Path]:
    """The standard library of an interpreter, and the environment around it."""
    environment = python.parent.parent
    base = python.resolve().parent.parent
    return [base / "lib", environment / "lib", environment / "lib64", environment / "pyvenv.cfg", python]


def _rlimits(limits: Limits) -> dict[str, int]:
    kept = {
        "RLIMIT_AS": limits.address_space_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CPU": limits.cpu_s,
    }
    return {name: value for name, value in kept.items() if value} | {"RLIMIT_CORE": 0}


def _launch(order: Order, log: Path) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ENTER, order.encode()],
            cwd="/",
            env={"PATH": order.env["PATH"], "LANG": order.env["LANG"]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(order.channel, order.report, order.lifeline),
            start_new_session=True,
        )


def _check_report(report: int, log: Path) -> None:
    ready, _, _ = select.select([report], [], [], _ENTER_WITHIN_S)
    if not ready:
        raise UnavailableError(f"a sandboxed process did not start within {_ENTER_WITHIN_S:g} s")
    text = os.read(report, 65536)
    if not text:
        raise UnavailableError(f"a sandboxed process ended before it began; {log} may say why")
    missing = json.loads(text).get("missing")
    if missing:
        raise SandboxMissingError(f"this system offers no sandbox: {missing}", hint=_HINT)


def find_missing() -> str:
    """What this system lacks of a sandbox, found by trying it; empty when it has one."""
    with tempfile.TemporaryDirectory(prefix="penstock-sandbox-") as folder:
        place = Path(folder)
        try:
            tried = start_in_sandbox(
                SandboxPlan(python=Path(sys.executable), argv=("-I", "-S", "-c", ""), folder=place / "home"),
                place / "log",
            )
        except SandboxMissingError as error:
            return error.message
        tried.wait(_ENTER_WITHIN_S)
        tried.kill()
        return ""
