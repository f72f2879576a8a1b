"""What is run, and how it ended."""

import signal
from pathlib import Path

from msgspec import Struct


class Family(Struct, frozen=True, kw_only=True):
    """Jobs that come one after the other and need the same libraries, which may be imported once for all of them.

    Each is a program of Python, `PYTHON -P -m MODULE ...`, in the same folder, and has a process of its own all the
    same.
    """

    name: str
    modules: tuple[str, ...]  # libraries, none of the folder's own; one that is missing is left out
    env: dict[str, str] = {}  # what is to hold while they are imported, on top of this process's own environment


class Job(Struct, frozen=True, kw_only=True):
    """One command to run."""

    argv: tuple[str, ...]
    cwd: Path
    log: Path  # its standard output and error are added at the end of this file
    env: dict[str, str] = {}  # on top of this process's own environment, and of the family's
    cpus: float = 1.0
    timeout_s: float | None = None
    family: Family | None = None


class Result(Struct, frozen=True, kw_only=True):
    """How a job ended."""

    exit_code: int | None = None  # None when a signal ended it
    signal: int | None = None
    timed_out: bool = False
    cancelled: bool = False
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int | None = None  # None when it was killed from outside, and nobody could measure

    @property
    def is_success(self) -> bool:
        """Whether the command ended by itself with code 0."""
        return self.exit_code == 0 and not self.timed_out and not self.cancelled

    def describe(self) -> str:
        """How it ended, for people."""
        if self.timed_out:
            return f"took longer than its {self.wall_s:.0f} s and was stopped"
        if self.cancelled:
            return "was cancelled"
        if self.signal is not None:
            return f"was killed by {_signal_name(self.signal)}"
        return f"ended with exit code {self.exit_code}"


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name
