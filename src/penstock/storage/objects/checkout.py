"""Writing a tree to a folder: beside it first, then moved into place in one step."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from penstock.core import failpoints
from penstock.core.errors import ConflictError, CorruptDataError
from penstock.core.ids import new_id
from penstock.storage.objects.blob_store import Data
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.storage.objects.local import explained

WriteFile = Callable[[TreeEntry, Callable[[Data], object]], None]


def check_target(target: Path) -> None:
    """Refuse to write over something.

    Raises:
        ConflictError: the target is a file, a link, or a folder that is not empty.
    """
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if target.is_symlink() or not is_free:
        raise ConflictError(f"{target} is there already", hint="name a new folder, or remove this one first")


def write_folder(
    target: Path, folders: Sequence[str], files: Sequence[tuple[str, TreeEntry]], write: WriteFile
) -> None:
    """Create the target with these folders and files, whole or not at all.

    Args:
        target: absent, or an empty folder.
        folders: each after the one it stands in.
        files: path and entry; in the order in which they are best read, as each is independent of the others.
        write: hands the content of an entry, piece by piece, to the function it is given.
    """
    check_target(target)
    temporary = target.absolute().parent / f".{target.name}.{new_id()}.tmp"
    with explained(target):
        try:
            os.makedirs(temporary)
            for folder in folders:
                os.mkdir(temporary / folder)
            for path, entry in files:
                write_file(temporary / path, entry, write)
            failpoints.hit("objects.checkout")
            _move(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write_file(path: Path, entry: TreeEntry, write: WriteFile) -> None:
    """Create one file; it must not be there."""
    mode = 0o777 if entry.kind is EntryKind.EXECUTABLE else 0o666
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb", buffering=0) as file:
        write(entry, lambda data: _write_all(descriptor, data))
        if os.fstat(file.fileno()).st_size != entry.size:
            raise CorruptDataError(f"object {entry.digest} has another size than its tree says")


def _write_all(descriptor: int, data: Data) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _move(temporary: Path, target: Path) -> None:
    try:
        os.rename(temporary, target)  # replaces an empty folder, and nothing else
    except OSError:
        check_target(target)  # somebody was faster
        raise
