"""Jobs as child processes of this one, each in a group of its own."""

import itertools
import os
import sys
import threading
import time

from penstock.compute.groups import ForkedGroup, ForkServer, Group, OwnGroup
from penstock.compute.types import Job, Result
from penstock.core import failpoints
from penstock.core.errors import UnavailableError

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


class LocalProcess:
    """Runs jobs on this machine. See `Compute` for the contract.

    Args:
        cpus: how many CPUs the jobs may use together; all that this process may use when None.
    """

    def __init__(self, cpus: float | None = None) -> None:
        self.cpus = cpus or float(_usable_cpus())
        self._lock = threading.Lock()
        self._running: set[LocalTask] = set()
        self._servers = _ForkServers()
        self._closed = False

    def start(self, job: Job) -> "LocalTask":
        """Start a job and return at once."""
        with self._lock:
            if self._closed:
                raise UnavailableError("this process is about to end and starts no more jobs")
        failpoints.hit("compute.start")
        task = LocalTask(job, self._servers)
        with self._lock:
            self._running = {known for known in self._running if not known.is_done} | {task}
        return task

    def release(self, family: str) -> None:
        """Let the processes end that were kept for the jobs of a family."""
        self._servers.close(family)

    def close(self) -> None:
        """Cancel what still runs, and wait until it is gone."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for task in running:
            task.cancel()
        for task in running:
            task.wait()
        self._servers.close()


class LocalTask:
    """A job as a process group: the shepherd, the command and all that it starts."""

    def __init__(self, job: Job, servers: "_ForkServers") -> None:
        self._job = job
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._timed_out = False
        self._cancelled = False
        self._result: Result | None = None
        self._started_at = time.monotonic()
        lifeline, self._lifeline = os.pipe()
        self._report, report = os.pipe()
        try:
            self._group = self._launch(servers, lifeline, report)
        except OSError as error:
            os.close(self._lifeline)
            os.close(self._report)
            raise UnavailableError(f"cannot start {job.argv[0]!r}: {error}") from error
        finally:
            os.close(lifeline)
            os.close(report)
        threading.Thread(target=self._watch, name="watch-job", daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Whether the job has ended."""
        return self._done.is_set()

    def wait(self, timeout_s: float | None = None) -> Result | None:
        """How the job ended; None when it has not within `timeout_s`."""
        self._done.wait(timeout_s)
        return self._result

    def cancel(self) -> None:
        """End the job and everything it started, at once."""
        self._cancelled = not self.is_done
        self._kill()

    def _launch(self, servers: "_ForkServers", lifeline: int, report: int) -> Group:
        job = self._job
        job.log.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            found = servers.start(job, lifeline, report, log)
            if found is None:
                return OwnGroup(job, _environment(job), lifeline, report, log)
            return ForkedGroup(*found, self._lifeline, self._report)
        finally:
            os.close(log)

    def _watch(self) -> None:
        timer = threading.Timer(self._job.timeout_s or 0, self._time_out)
        timer.daemon = True
        if self._job.timeout_s is not None:
            timer.start()
        code = self._group.wait()
        timer.cancel()
        self._result = self._describe(code, os.read(self._report, 256).decode().split())
        self._done.set()
        with self._lock:
            os.close(self._lifeline)
            os.close(self._report)

    def _describe(self, code: int, report: list[str]) -> Result:
        wall_s = time.monotonic() - self._started_at
        if report:
            code = os.waitstatus_to_exitcode(int(report[0]))
        return Result(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            timed_out=self._timed_out and not report,  # it may have ended by itself just before
            cancelled=self._cancelled and not self._timed_out and not report,
            wall_s=wall_s,
            cpu_s=float(report[1]) if report else 0.0,
            peak_memory_bytes=int(report[2]) if report else None,
        )

    def _time_out(self) -> None:
        self._timed_out = not self.is_done
        self._kill()

    def _kill(self) -> None:
        with self._lock:
            if not self.is_done:  # from then on its pipes are closed
                self._group.kill()


class _ForkServers:
    """The fork servers of this process: one for all jobs that may share what is imported."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._open: dict[tuple[object, ...], ForkServer | None] = {}  # None for one that died

    def start(self, job: Job, lifeline: int, report: int, log: int) -> tuple[ForkServer, int] | None:
        """Have a job started; None for one that is to be started like any other command."""
        family = job.family
        if family is None or sys.platform != "linux":
            return None
        env = _environment(job)
        key = (family.name, family.modules, job.argv[0], job.cwd, tuple(sorted(env.items())))
        with self._lock:
            if key not in self._open:
                self._open[key] = ForkServer(job.argv[0], family, env, job.cwd, log)
            server, number = self._open[key], next(self._numbers)
        if server is None:
            return None
        try:
            server.start(number, job, lifeline, report, log)
        except OSError:
            server.close()
            with self._lock:
                self._open[key] = None
            return None
        return server, number

    def close(self, family: str | None = None) -> None:
        """Let those of a family end, or all."""
        with self._lock:
            for key in [key for key in self._open if family in (None, key[0])]:
                server = self._open.pop(key)
                if server is not None:
                    server.close()


def _environment(job: Job) -> dict[str, str]:
    """What the family of a job is started with, or a job without one."""
    limits = dict.fromkeys(THREAD_LIMITS, str(max(1, round(job.cpus))))
    environment = {**limits, **os.environ, **(job.family.env if job.family else {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without bytecode the big libraries take seconds to import
    return environment


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
