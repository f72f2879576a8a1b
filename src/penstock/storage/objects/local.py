"""Blobs in a local folder: one file each, written under a temporary name, synced, then linked into place."""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from penstock.core import failpoints
from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError, StorageFullError, UnavailableError
from penstock.core.ids import new_id
from penstock.storage.objects.blob_store import BlobWriter, Data
from penstock.storage.objects.keys import check_key, check_prefix

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_TEMPORARY = ".tmp-"  # a key never begins with a dot, so what is half written can never be read
_CLOSED = -1
_READ_ONLY = 0o444  # stored bytes never change; this keeps an editor from trying


class LocalBlobStore:
    """A folder as a blob store; see `BlobStore` for what it promises.

    Args:
        folder: created when it is first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put_if_absent(self, key: str, data: Data) -> bool:
        """Keep a blob; False when the key is taken."""
        path = self._path(key)
        if path.exists():
            return False
        writer = self.open_writer()
        try:
            writer.append(data)
            writer.seal()
            return writer.publish(key)
        finally:
            writer.discard()

    def open_writer(self) -> BlobWriter:
        """A blob that arrives in pieces; it grows under a temporary name."""
        return _LocalBlobWriter(self.folder / f"{_TEMPORARY}{new_id()}", self._path)

    def get(self, key: str) -> bytes:
        """The whole blob."""
        path = self._path(key)
        with explained(Path(key)):
            return path.read_bytes()

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """A part of a blob."""
        path = self._path(key)
        with explained(Path(key)):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, in order of the alphabet."""
        start = self.folder / check_prefix(prefix).rpartition("/")[0]
        for key in self._walk(start):
            if key.startswith(prefix):
                yield key

    def delete(self, key: str) -> None:
        """Remove a blob."""
        path = self._path(key)
        with explained(path):
            path.unlink(missing_ok=True)

    def size(self, key: str) -> int:
        """A blob's length in bytes."""
        path = self._path(key)
        with explained(Path(key)):
            return path.stat().st_size

    def sweep(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what killed writers left half written; returns how many files. Younger ones may still be in use."""
        limit = time.time() - older_than.total_seconds()
        swept = 0
        for path in self.folder.glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    path.unlink()
                    swept += 1
        return swept

    def _path(self, key: str) -> Path:
        return self.folder / check_key(key)

    def _walk(self, folder: Path) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name + "/" * entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            if entry.name.startswith(_TEMPORARY):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path))
            else:
                yield os.path.relpath(entry.path, self.folder)


class _LocalBlobWriter:
    """A file under a temporary name, until `publish` links it to its key."""

    def __init__(self, temporary: Path, find_path: Callable[[str], Path]) -> None:
        self._temporary = temporary
        self._find_path = find_path
        self._shown = Path(temporary.parent.name)  # where the store lies is nobody's business
        with explained(self._shown):
            _make_folder(temporary.parent)
            self._descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _READ_ONLY)

    def append(self, data: Data) -> None:
        """Add bytes at the end."""
        with explained(self._shown):
            failpoints.hit("objects.append")
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def seal(self) -> None:
        """Sync and close the file."""
        with explained(self._shown):
            try:
                failpoints.hit("objects.fsync")
                os.fsync(self._descriptor)
            finally:
                self._close()

    def publish(self, key: str) -> bool:
        """Link the file to its key."""
        path = self._find_path(key)
        with explained(Path(key)):
            _make_folder(path.parent)
            created = _publish(self._temporary, path)
        self.discard()
        return created

    def discard(self) -> None:
        """Remove the temporary name."""
        self._close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
            self._descriptor = _CLOSED


def _make_folder(folder: Path) -> None:
    """Make a folder with those above it, so that they survive a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    _sync_folder(folder.parent)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Give the operating system's errors about a path in the words of this project."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


def explain(error: OSError, path: Path) -> PenstockError:
    """What an error of the operating system about a path means to a caller."""
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"there is no {path}")
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StorageFullError(f"there is no room left to write {path}", hint="free some space and try again")
    if isinstance(error, (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError)):
        return InvalidInputError(f"{path} cannot be used: {reason.lower()}")
    return UnavailableError(f"{path} cannot be read or written just now: {reason.lower()}")


def _publish(temporary: Path, path: Path) -> bool:
    failpoints.hit("objects.rename")
    try:
        os.link(temporary, path)  # unlike a rename it never replaces, so exactly one of two writers is told True
        created = True
    except FileExistsError:
        created = False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(temporary, path)  # a file system without links; the same bytes under the same name do no harm
        created = True
    failpoints.hit("objects.renamed")
    _sync_folder(path.parent)
    return created


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
