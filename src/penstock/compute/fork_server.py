"""A Python that has imported what a family of jobs needs, and forks into each of them.

`python -P -m penstock.compute.fork_server SOCKET MODULE...`: importing the libraries of machine learning takes seconds,
and many a step less than one. It imports libraries only, never the project's own code, so that each job reads that as
it is. It does not fork what may hang or differ afterwards: where an import left threads behind that hold no promise
about forks, or where a module in the folder has the name of a library's, each job is a Python of its own.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from penstock.compute import shepherd

MOST_BYTES = 1 << 16  # of a request
# They say of themselves that they may hang once they are forked.
_NOT_FORKED = frozenset(("polars", "jax", "tensorflow"))
_SAFE_THREADS = frozenset(("jemalloc_bg_thd",))  # the allocator's, which takes all its locks for a fork


def main() -> None:
    """Start jobs until nobody can ask for any more; in the process of a job, run its program."""
    server = _Server(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    argv = server.serve()
    if argv:
        sys.argv = argv
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


class _Server:
    """Starts what is asked for, and ends what it left behind."""

    def __init__(self, requests: socket.socket, modules: list[str]) -> None:
        self._requests = requests
        self._groups: dict[int, tuple[int, int]] = {}  # by the job's number: process group, and where it reports to
        for module in modules:
            _import(module)
        self._forks = not _has_threads() and not _hides_libraries(Path.cwd())
        gc.collect()
        gc.freeze()  # a collection would write to, and so copy, every page that the jobs share

    def serve(self) -> list[str]:
        """Do what is asked; the arguments of a program in the process that is to run it, or none at the end."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        while True:
            ready, _, _ = select.select([self._requests.fileno(), wake], [], [])
            if wake in ready:
                os.read(wake, 512)
                self._reap()
            if self._requests.fileno() in ready:
                message, ends, _, _ = socket.recv_fds(self._requests, MOST_BYTES, 3)
                if not message:  # a job whose asker is gone is ended by its shepherd
                    return []
                asked = json.loads(message)
                if "kill" in asked:
                    self._kill(asked["kill"])
                elif self._start(asked, *ends):
                    os.close(wake)
                    os.close(waker)
                    return list(asked["argv"][3:])

    def _start(self, asked: dict[str, Any], lifeline: int, report: int, log: int) -> bool:
        """Start a job; True in the process that is to run its program."""
        if self._forks:
            with _quiet():
                group = os.fork()
            if group == 0:
                os.environ.update(asked["env"])
                return self._tend(lifeline, report, log)
        else:
            group = _launch(asked["argv"], asked["env"], lifeline, report, log)
        self._groups[asked["job"]] = group, report
        os.close(lifeline)
        os.close(log)
        return False

    def _tend(self, lifeline: int, report: int, log: int) -> bool:
        """Be the shepherd of a job; True in the job's process, and never back in the shepherd's."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        self._requests.close()
        for _, other in self._groups.values():
            os.close(other)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        with _quiet():
            is_job = shepherd.tend(lifeline, report)
        if not is_job:
            os._exit(0)
        return True

    def _reap(self) -> None:
        for number, (group, report) in list(self._groups.items()):
            if os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            self._kill(number)  # what the job left running in its group
            os.waitpid(group, 0)
            os.close(report)  # now nothing of it is left, and whoever reads sees it
            del self._groups[number]

    def _kill(self, number: int) -> None:
        if number in self._groups:  # until it is reaped, the number of its group can belong to nobody else
            with suppress(ProcessLookupError):
                os.killpg(self._groups[number][0], signal.SIGKILL)


def _import(module: str) -> None:
    """Import a module, or the attribute of one that is a module; what cannot be imported is the job's to tell."""
    if module.partition(".")[0] in _NOT_FORKED:
        return
    package, _, name = module.rpartition(".")
    if package and hasattr(sys.modules.get(package), name):
        return
    with suppress(Exception):
        importlib.import_module(module)


def _has_threads() -> bool:
    """Whether a thread other than this one may hold a lock that nobody opens again after a fork."""
    names = {task: (Path("/proc/self/task") / task / "comm") for task in os.listdir("/proc/self/task")}
    return any(
        file.read_text().strip() not in _SAFE_THREADS for task, file in names.items() if int(task) != os.getpid()
    )


def _hides_libraries(folder: Path) -> bool:
    """Whether a library imported a module that in a job would be the folder's own of the same name."""
    own = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    return any(name in sys.modules for name in own - {"__main__"})


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning that there is more than one thread: it was looked at which ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _launch(argv: list[str], env: dict[str, str], lifeline: int, report: int, log: int) -> int:
    for end in (lifeline, report):
        os.set_inheritable(end, True)
    group = os.posix_spawn(
        sys.executable,
        shepherd.make_command(lifeline, report, argv),
        {**os.environ, **env},
        file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
        setsid=True,
    )
    os.set_inheritable(report, False)
    return group


if __name__ == "__main__":
    main()
