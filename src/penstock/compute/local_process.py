"""Jobs as child processes of this one, each in a group of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from penstock.compute import shepherd
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
_SCRIPT = str(Path(shepherd.__file__))


class LocalProcess:
    """Runs jobs on this machine. See `Compute` for the contract.

    Args:
        cpus: how many CPUs the jobs may use together; all that this process may use when None.
    """

    def __init__(self, cpus: float | None = None) -> None:
        self.cpus = cpus or float(_usable_cpus())
        self._lock = threading.Lock()
        self._running: set[LocalTask] = set()
        self._closed = False

    def start(self, job: Job) -> "LocalTask":
        """Start a job and return at once."""
        with self._lock:
            if self._closed:
                raise UnavailableError("this process is about to end and starts no more jobs")
        failpoints.hit("compute.start")
        task = LocalTask(job)
        with self._lock:
            self._running = {known for known in self._running if not known.is_done} | {task}
        return task

    def close(self) -> None:
        """Cancel what still runs, and wait until it is gone."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for task in running:
            task.cancel()
        for task in running:
            task.wait()


class LocalTask:
    """A job as a process group: the shepherd, the command and all that it starts."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._reaped = False
        self._timed_out = False
        self._cancelled = False
        self._result: Result | None = None
        self._started_at = time.monotonic()
        lifeline, self._lifeline = os.pipe()
        self._report, report = os.pipe()
        try:
            self._process = _launch(job, lifeline, report)
        except OSError as error:
            os.close(self._lifeline)
            os.close(self._report)
            raise UnavailableError(f"cannot start {job.argv[0]!r}: {error}") from error
        finally:
            os.close(lifeline)
            os.close(report)
        threading.Thread(target=self._watch, name=f"watch-{self._process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process group."""
        return self._process.pid

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

    def _watch(self) -> None:
        timer = threading.Timer(self._job.timeout_s or 0, self._time_out)
        timer.daemon = True
        if self._job.timeout_s is not None:
            timer.start()
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        timer.cancel()
        self._kill()  # what the command left running in its group
        with self._lock:
            self._reaped = True
            code = self._process.wait()
        self._result = self._describe(code, os.read(self._report, 256).decode().split())
        os.close(self._lifeline)
        os.close(self._report)
        self._done.set()

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
            if not self._reaped:  # until then the number of the group can belong to nobody else
                with suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" of a dead group
                    os.killpg(self.pid, signal.SIGKILL)


def _launch(job: Job, lifeline: int, report: int) -> "subprocess.Popen[bytes]":
    limits = dict.fromkeys(THREAD_LIMITS, str(max(1, round(job.cpus))))
    environment = {**limits, **os.environ, **job.env}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without bytecode the big libraries take seconds to import
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with open(job.log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", _SCRIPT, str(lifeline), str(report), *job.argv],
            cwd=job.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lifeline, report),
            start_new_session=True,
        )


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
