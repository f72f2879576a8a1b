"""How a command finds the server of a home folder: a lock that only a living server holds, and a file with its URL."""

import contextlib
import fcntl
import os
import secrets
import time
from datetime import datetime
from pathlib import Path
from typing import IO

from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, UnavailableError

LOCK_NAME = "server.lock"
UP_LOCK_NAME = "up.lock"  # held by the supervisor, which starts the server again when it dies
FILE_NAME = "server.json"
TOKEN_NAME = "owner.token"
SHORT_WAIT_S = 0.2  # whoever only asks `is_held` has the lock for a moment, too
RESTART_WAIT_S = 20.0


class ServerInfo(Struct, frozen=True, kw_only=True):
    """What a server says about itself in `server.json`."""

    url: str
    gateway_url: str
    pid: int
    started_at: datetime


class HomeLock:
    """Held by one process at a time; the system frees it when that process dies, however it dies.

    Args:
        path: of the lock file; its folder is created if absent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self, *, wait_s: float = SHORT_WAIT_S) -> None:
        """Take the lock.

        Raises:
            ConflictError: another process holds it, and went on holding it for `wait_s`.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = open(self._path, "a+")  # noqa: SIM115 - kept open for as long as the lock is held
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = _read_pid(self._path)
                    file.close()
                    raise ConflictError(
                        f"{self._path} is held by process {holder}", hint=f"wait for its end, or 'kill {holder}'"
                    ) from None
                time.sleep(0.02)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def is_held(self) -> bool:
        """Whether any living process holds the lock."""
        try:
            with open(self._path) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def holder(self) -> int:
        """The process that wrote its number last; 0 when none did."""
        for _ in range(20):  # the number is written a moment after the lock was taken
            if pid := _read_pid(self._path):
                return pid
            time.sleep(0.01)
        return 0


def _read_pid(path: Path) -> int:
    try:
        return int(path.read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


def write_server_file(home: Path, info: ServerInfo) -> None:
    """Say where the server of this home answers; the file appears whole or not at all."""
    temporary = home / f"{FILE_NAME}.{os.getpid()}"
    temporary.write_bytes(codec.encode(info))
    temporary.replace(home / FILE_NAME)


def read_owner_token(home: Path) -> str:
    """The token that this machine's processes show to the server of a home; whoever can read its files is its owner.

    It is made when it is first asked for. Empty when it cannot be read.
    """
    path = home / TOKEN_NAME
    try:
        if not path.exists():
            temporary = home / f"{TOKEN_NAME}.{os.getpid()}"
            temporary.touch(0o600, exist_ok=True)
            temporary.write_text(secrets.token_urlsafe(32))
            with contextlib.suppress(FileExistsError):  # another process was faster, and its token counts
                os.link(temporary, path)
            temporary.unlink()
        return path.read_text()
    except OSError:
        return ""


def find_server(home: Path, *, wait_s: float = RESTART_WAIT_S) -> ServerInfo | None:
    """The living server of a home; None when none lives. One that is just starting, or starting again, is waited for.

    Raises:
        UnavailableError: a server holds the home and has not said where it answers.
    """
    lock, up = HomeLock(home / LOCK_NAME), HomeLock(home / UP_LOCK_NAME)
    deadline = time.monotonic() + wait_s
    while True:
        if lock.is_held:
            info = _read_server_file(home)
            if info is not None and info.pid == lock.holder:
                return info
        elif not up.is_held:
            return None
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the server of {home} is starting and does not answer yet", hint=f"look into {home / 'logs'}"
            )
        time.sleep(0.05)


def _read_server_file(home: Path) -> ServerInfo | None:
    try:
        return codec.decode((home / FILE_NAME).read_bytes(), ServerInfo)
    except (FileNotFoundError, InvalidInputError):
        return None
