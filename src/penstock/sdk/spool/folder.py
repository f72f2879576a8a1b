"""A spool on disk: a folder with what was logged to one run by one process, and a lock that says whether it lives.

ROOT/SPOOL-RUN/spool.json      what it is, and where it shall go
ROOT/SPOOL-RUN/lock            held by the process that writes or delivers it
ROOT/SPOOL-RUN/NUMBER.records  framed records; NUMBER is that of the first one
ROOT/SPOOL-RUN/files/          artifacts that are not delivered yet
ROOT/SPOOL-RUN.rejected        records that the server refused, a line of JSON each
"""

import contextlib
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.ids import RunId, new_id

INFO_NAME = "spool.json"
LOCK_NAME = "lock"
FILES_NAME = "files"
RECORDS = ".records"
_ID_LENGTH = 26


class SpoolInfo(Struct, frozen=True, kw_only=True):
    """What a spool says about itself."""

    id: str
    run_id: RunId
    place: str  # the URL of a server, or a home folder of this machine
    leads: bool  # it began or reopened the run; if its process dies, the run is over
    pid: int
    host: str
    created_at: datetime
    format: int = 1


class SpoolFolder:
    """A spool's folder, whose lock this process holds until `release`."""

    def __init__(self, path: Path, info: SpoolInfo, lock: int) -> None:
        self.path = path
        self.info = info
        self._lock: int | None = lock

    @property
    def files(self) -> Path:
        """Where artifacts wait."""
        return self.path / FILES_NAME

    @property
    def rejected(self) -> Path:
        """Where refused records are kept; it outlives the spool."""
        return self.path.with_name(self.path.name + ".rejected")

    def segments(self) -> list[tuple[int, Path]]:
        """The number of the first record and the file of each segment, in their order."""
        return [(int(path.stem), path) for path in sorted(self.path.glob(f"*{RECORDS}"))]

    def segment(self, first: int) -> Path:
        """The file of the segment that begins with this record."""
        return self.path / f"{first:020d}{RECORDS}"

    def remove(self) -> None:
        """Everything is delivered: the folder goes, at once for whoever looks."""
        gone = self.path.with_name(f".gone-{self.path.name}")
        with contextlib.suppress(OSError):
            self.path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def create_spool(root: Path, *, run_id: RunId, place: str, leads: bool) -> SpoolFolder:
    """A new spool of this process; it appears under its name with its lock held."""
    info = SpoolInfo(
        id=new_id(),
        run_id=run_id,
        place=place,
        leads=leads,
        pid=os.getpid(),
        host=socket.gethostname(),
        created_at=datetime.now(UTC),
    )
    name = f"{info.id}-{run_id}"
    unseen = root / f".new-{name}"
    (unseen / FILES_NAME).mkdir(parents=True, mode=0o700)
    (unseen / INFO_NAME).write_bytes(codec.encode(info))
    lock = _lock(unseen)
    assert lock is not None  # nobody else knows of it
    path = root / name
    unseen.rename(path)
    return SpoolFolder(path, info, lock)


def adopt_spool(path: Path) -> SpoolFolder | None:
    """A spool whose process has ended; None while it lives, or when somebody else adopted it.

    Raises:
        InvalidInputError: it is no spool that this penstock can read.
    """
    try:
        info = read_info(path)
        lock = _lock(path)
    except FileNotFoundError:  # it was delivered meanwhile
        return None
    return None if lock is None else SpoolFolder(path, info, lock)


def read_info(path: Path) -> SpoolInfo:
    """What a spool says about itself.

    Raises:
        FileNotFoundError: there is no spool.
        InvalidInputError: it is no spool that this penstock can read.
    """
    try:
        info = codec.decode((path / INFO_NAME).read_bytes(), SpoolInfo)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path / INFO_NAME} cannot be read: {error}") from error
    if info.format != 1:
        raise InvalidInputError(f"{path} was written by a newer penstock", hint="update this one")
    return info


def list_spools(root: Path, run_id: RunId | None = None) -> Iterator[Path]:
    """The folders of spools, the oldest first.

    Args:
        root: the folder of spools.
        run_id: only those of this run.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in sorted(os.listdir(root)):
            spool, _, run = name[:_ID_LENGTH], name[_ID_LENGTH : _ID_LENGTH + 1], name[_ID_LENGTH + 1 :]
            is_spool = not spool.startswith(".") and run and (root / name / INFO_NAME).is_file()
            if is_spool and (run_id is None or run == run_id):
                yield root / name


def _lock(path: Path) -> int | None:
    descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == os.stat(path / LOCK_NAME).st_ino:  # not one that was removed meanwhile
            return descriptor
    except BlockingIOError:
        pass
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None
