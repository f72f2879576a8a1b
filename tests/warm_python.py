"""Python programs in processes of their own that begin at once: forks of a Python that has imported penstock.

Such a process has its own memory and file descriptors, and ends as any other does, also by `kill -9`. What is about a
fresh interpreter, or about what a program imports, starts `sys.executable` instead.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO

IMPORTED = (  # none that starts threads: a fork would lack them
    *(f"penstock.cli.{name}" for name in ("main", "server", "sync", "import_", "tokens", "gc", "runs", "models")),
    "penstock.sdk.start",
)
MOST_BYTES = 1 << 17  # of a request
_NUMBER = struct.Struct("<i")


class Process:
    """What `subprocess.Popen` is, for `python ARGUMENTS`; its pipes carry text.

    Args:
        arguments: those of Python: `-m MODULE`, `-c CODE` or a file, and what the program itself is given.
        env: its whole environment; by default this process's.
        cwd: its folder; by default this process's.
        stdin: this process's, or as for `subprocess.Popen`: PIPE, DEVNULL or a file descriptor; and so the other two.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        self.returncode: int | None = None
        self._report, report = os.pipe()
        ends = [_open_end(where, number) for number, where in enumerate((stdin, stdout, stderr))]
        self.stdin, self.stdout, self.stderr = (ours for ours, _ in ends)
        asked = {"arguments": list(map(str, arguments)), "env": dict(env or os.environ), "cwd": str(cwd or Path.cwd())}
        given = [*(theirs for _, theirs in ends), report]
        socket.send_fds(_parent(), [json.dumps(asked).encode()], given)
        for end in given:
            os.close(end)
        self.pid = self._hear()

    def _hear(self) -> int:
        number: int
        (number,) = _NUMBER.unpack(os.read(self._report, _NUMBER.size))
        return number

    def poll(self) -> int | None:
        """How it ended, as `subprocess` says it; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and tell how it ended."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("python", timeout or 0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
            self.returncode = self._hear()
            os.close(self._report)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it says until its end."""
        if self.stdin:
            self.stdin.close()
        with ThreadPoolExecutor(2) as readers:
            told = [readers.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        out, err = (each.result() if each else "" for each in told)
        self._close()
        return out, err

    def _close(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()

    def __enter__(self) -> "Process":
        """Wait for its end after the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()


def run(
    arguments: Sequence[object],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `python ARGUMENTS` to its end, and hear all that it says."""
    process = Process(arguments, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(list(map(str, arguments)), process.wait(), out, err)


def _open_end(where: int | None, number: int) -> tuple[IO[str] | None, int]:
    """Our end of a pipe, or none; and what the process has as its standard stream of that number."""
    if where is None or where >= 0:
        return None, os.dup(number if where is None else where)
    if where == subprocess.DEVNULL:
        return None, os.open(os.devnull, os.O_RDWR)
    assert where == subprocess.PIPE
    reader, writer = os.pipe()
    return (open(writer, "w"), reader) if number == 0 else (open(reader), writer)


@cache
def _parent() -> socket.socket:
    """The Python that forks, by the socket that it is asked through; it ends when nobody can ask any more."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [sys.executable, __file__, str(theirs.fileno())]
        parent = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    parent.returncode = 0  # it is nobody's to wait for
    atexit.register(ours.close)
    return ours


def _serve(requests: socket.socket) -> list[str]:
    """Fork for each request; in the new process, what Python is to do there. Empty when nobody can ask any more."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        message, ends, _, _ = socket.recv_fds(requests, MOST_BYTES, 4)
        if not message:
            return []
        if os.fork() == 0:
            requests.close()
            _fork_and_wait(*ends)
            asked = json.loads(message)
            os.environ.clear()
            os.environ.update(asked["env"])
            os.chdir(asked["cwd"])
            return list(asked["arguments"])
        for end in ends:
            os.close(end)


def _fork_and_wait(*ends: int) -> None:
    """Return in a new process; the one that called this reports how that ended, and ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    report = ends[-1]
    process = os.fork()
    if process == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, end in enumerate(ends[:-1]):
            os.dup2(end, number)
        for end in ends:
            os.close(end)
        return
    for number in (0, 1, 2, *ends[:-1]):
        os.close(number)
    os.write(report, _NUMBER.pack(process))
    # Until it has been waited for, its number belongs to nobody else.
    ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    os.write(report, _NUMBER.pack(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status))
    os._exit(0)


def _do(arguments: list[str]) -> None:
    """What `python ARGUMENTS` does."""
    from penstock.core import failpoints

    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    kind, *rest = arguments
    if kind == "-m":
        sys.argv, sys.path[0] = rest, os.getcwd()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    else:
        sys.argv, sys.path[0] = arguments, str(Path(kind).parent)
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__" and (wanted := _serve(socket.socket(fileno=int(sys.argv[1])))):
    _do(wanted)
