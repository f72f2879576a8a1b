"""Files kept whole beside the store, so that several folders hold one copy: by hard links, or by shared blocks."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from penstock.core.errors import InvalidInputError
from penstock.core.ids import new_id

LinkKind = Literal["copy", "hardlink", "reflink"]
_CLONE = 0x40049409  # FICLONE of Linux: the copy shares its blocks until one side changes
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EXDEV, errno.ENOSYS}
_READ_ONLY = 0o222  # what a file that is shared may not have: who writes to one of its names writes to all


def share_blocks(source: int, target: int) -> None:
    """Let an empty file have the content of another without a copy; OSError where the file system cannot do that."""
    fcntl.ioctl(target, _CLONE, source)


class SharedFiles:
    """A folder of files by the digest of their content.

    Args:
        folder: created when it is first written to; on the file system of the folders that are written.
        kind: `hardlink`: folders get names of the same file, which is read-only for everybody; `reflink`: they get
            files of their own that share its blocks, on file systems that can do that (Btrfs, XFS, APFS).
    """

    def __init__(self, folder: Path, kind: Literal["hardlink", "reflink"]) -> None:
        self._folder = folder
        self._kind = kind

    def give(self, name: str, path: str, write: Callable[[str], object], is_good: Callable[[str], bool]) -> None:
        """Make a file at `path`, which must not be there.

        Args:
            name: of the shared file.
            path: where the file is wanted.
            write: writes the content to a new file.
            is_good: whether a shared file that is there still has the content it had.

        Raises:
            InvalidInputError: the file system cannot do it.
        """
        shared = str(self._folder / name[:2] / name)
        if not (os.path.exists(shared) and is_good(shared)):
            self._write(shared, write)
        if self._kind == "hardlink":
            self._link(shared, path)
        else:
            self._clone(shared, path)

    def _write(self, shared: str, write: Callable[[str], object]) -> None:
        temporary = f"{shared}.{new_id()}.tmp"
        os.makedirs(os.path.dirname(shared), exist_ok=True)
        try:
            write(temporary)
            if self._kind == "hardlink":
                os.chmod(temporary, os.stat(temporary).st_mode & ~_READ_ONLY)
            os.replace(temporary, shared)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def _link(self, shared: str, path: str) -> None:
        try:
            os.link(shared, path)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            raise InvalidInputError(
                f"{path} cannot be a hard link: {(error.strerror or '').lower()}", hint="use '--link copy'"
            ) from error

    def _clone(self, shared: str, path: str) -> None:
        mode = os.stat(shared).st_mode & 0o777
        with open(shared, "rb") as source:
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            try:
                share_blocks(source.fileno(), target)
            except OSError as error:
                if error.errno not in _CANNOT_CLONE:
                    raise
                raise InvalidInputError(
                    f"the file system of {path} cannot share blocks between files", hint="use '--link copy'"
                ) from error
            finally:
                os.close(target)
