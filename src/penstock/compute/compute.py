"""The port of every place where jobs run: this machine's processes, a pool, a cluster."""

from typing import Protocol

from penstock.compute.types import Job, Result


class Task(Protocol):
    """A job that was started. Safe to use from several threads."""

    def wait(self, timeout_s: float | None = None) -> Result | None:
        """How the job ended; None when it has not within `timeout_s`."""
        ...

    def cancel(self) -> None:
        """End the job and everything it started, at once; one that has ended is left alone."""
        ...


class Compute(Protocol):
    """Runs jobs.

    The contract of every implementation:

    - A job that was started ends: by itself, at its timeout, when it is cancelled, or because this process died.
      Then nothing of what it started is left running.
    - Methods may be called from any thread, and a thread that started a job may end before the job does.
    - A command that cannot be started ends with exit code 127 and says why in its log.

    Attributes:
        cpus: how many CPUs its jobs may use together; the caller starts no more than fit.
    """

    cpus: float

    def start(self, job: Job) -> Task:
        """Start a job and return at once.

        Raises:
            UnavailableError: no more jobs can be started just now.
        """
        ...

    def release(self, family: str) -> None:
        """Let go of what is kept for the jobs of a family: no more of them will come."""
        ...

    def close(self) -> None:
        """Cancel what still runs."""
        ...
