"""What a sandboxed process gets, and why there may be none."""

from pathlib import Path

from msgspec import Struct

from penstock.core.errors import ConflictError

MIB = 1024 * 1024


class SandboxMissingError(ConflictError):
    """The system offers no sandbox, or one that does not hold; nothing was run."""


class Limits(Struct, frozen=True, kw_only=True):
    """What a sandboxed process may use up."""

    address_space_bytes: int = 8 * 1024 * MIB
    file_bytes: int = 512 * MIB  # of each file that it writes, and of its log
    open_files: int = 256
    processes: int = 256  # and threads; kept where the system gives the process a user namespace of its own
    cpu_s: int = 0  # of all its life; 0: no limit
    threads: int = 1  # that numerical libraries start


class SandboxPlan(Struct, frozen=True, kw_only=True):
    """One Python process to run; it reads what is listed here and what the interpreter needs, and nothing else.

    Attributes:
        python: an interpreter; its environment is readable.
        argv: the interpreter's arguments.
        folder: a private folder; the one place where the process may write, and its home.
        readable: files and folders besides.
        forbidden: files that are there and must not be readable; the process is not run where one is.
        limits: what it may use up.
        env: variables besides the few that every such process gets.
    """

    python: Path
    argv: tuple[str, ...]
    folder: Path
    readable: tuple[Path, ...] = ()
    forbidden: tuple[Path, ...] = ()
    limits: Limits = Limits()
    env: dict[str, str] = {}
