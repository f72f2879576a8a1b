"""A folder becomes another tree in place: the old state or the new one, and nothing is lost that was never added."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from penstock.core import failpoints
from penstock.core.errors import ConflictError
from penstock.core.ids import Digest, new_id
from penstock.storage.objects.folders.checkout import FolderWriter, Progress, Source
from penstock.storage.objects.folders.comparing import FOLDER, LINK, Difference
from penstock.storage.objects.folders.reading import FileFacts
from penstock.storage.objects.folders.scanning import to_stat
from penstock.storage.objects.folders.shared_files import SharedFiles
from penstock.storage.objects.format import to_digest
from penstock.storage.objects.local import explained

_STAGING, _JOURNAL = ".penstock-{}.tmp", "journal"
_SHOWN = 5  # names in a message


class Move(Struct, frozen=True, array_like=True):
    """One step of a change in place."""

    kind: Literal["take", "remove folder", "make folder", "put"]
    path: str
    number: int = 0  # of the file in the staging folder


def check_saved(has: Callable[[Digest], bool], differences: Sequence[Difference], target: Path) -> None:
    """Refuse to overwrite or remove what is not in the store.

    Args:
        has: whether the store holds an object.
        differences: between what a folder is and what it shall be.
        target: the folder.

    Raises:
        ConflictError: some files hold what was never added.
    """
    unsaved = [
        each.path
        for each in differences
        if each.before is not None and each.before[1] != FOLDER and not has(to_digest(each.before[3]))
    ]
    if unsaved:
        more = f" and {len(unsaved) - _SHOWN} more" if len(unsaved) > _SHOWN else ""
        raise ConflictError(
            f"{target} holds what was never added: {', '.join(unsaved[:_SHOWN])}{more}",
            hint="keep it with 'penstock data add', or give it up with '--force'",
        )


def update_folder(
    source: Source,
    differences: Sequence[Difference],
    root: Path,
    beside: Path,
    shared: SharedFiles | None = None,
    progress: Progress | None = None,
) -> dict[str, FileFacts]:
    """Make a folder what it shall be, by the differences between what it is and that.

    New files are written first. Then everything is moved; what fails is moved back at once, and where the process was
    killed `recover` does that.

    Args:
        source: has the objects.
        differences: what is changed.
        root: the folder.
        beside: the folder above it, or itself: where new files are written, on the same file system.
        shared: files that other folders have as well; None to write each file.
        progress: told the files and bytes that were written so far, after each file.

    Returns:
        What the files that were put look like, by their paths.

    Raises:
        NotFoundError, CorruptDataError: something is not there or not as it was written.
        StorageFullError: there is no room.
    """
    staging = beside.absolute() / _STAGING.format(new_id())
    with explained(root):
        try:
            os.makedirs(staging / "new")
            os.mkdir(staging / "old")
            moves = _plan(differences)
            _write_new(source, differences, moves, staging / "new", shared, progress)
            with _open_journal(staging, os.path.relpath(root, beside), moves):
                try:
                    for move in moves:
                        failpoints.hit("objects.update")
                        _do(move, root, staging)
                except BaseException:
                    _undo(moves, root, staging)
                    raise
                finally:
                    (staging / _JOURNAL).unlink()  # from here on it is done, or undone
            return _look_at_new(differences, moves, root)
        finally:
            if not (staging / _JOURNAL).exists():
                shutil.rmtree(staging, ignore_errors=True)


def recover(folder: Path) -> list[Path]:
    """Undo the changes that a killed process left half done in a folder or in those directly below; returns these."""
    undone = []
    for journal in sorted(folder.glob(f"{_STAGING.format('*')}/{_JOURNAL}")):
        with journal.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # whoever writes there is alive
            with contextlib.suppress(msgspec.DecodeError):  # it was not begun
                name, moves = msgspec.msgpack.decode(file.read(), type=tuple[str, list[Move]])
                _undo(moves, folder / name, journal.parent)
                undone.append(folder / name)
        journal.unlink()
        shutil.rmtree(journal.parent, ignore_errors=True)
    return undone


def _plan(differences: Sequence[Difference]) -> list[Move]:
    """The steps in order: files out of the way, empty folders removed, new folders made, new files put."""
    take = [
        Move("take", each.path, number)
        for number, each in enumerate(differences)
        if each.before is not None and each.before[1] != FOLDER
    ]
    remove = [
        Move("remove folder", each.path)
        for each in reversed(differences)
        if each.before is not None and each.before[1] == FOLDER
    ]
    make = [
        Move("make folder", each.path) for each in differences if each.after is not None and each.after[1] == FOLDER
    ]
    put = [
        Move("put", each.path, number)
        for number, each in enumerate(differences)
        if each.after is not None and each.after[1] != FOLDER
    ]
    return [*take, *remove, *make, *put]


def _write_new(
    source: Source,
    differences: Sequence[Difference],
    moves: Sequence[Move],
    folder: Path,
    shared: SharedFiles | None,
    progress: Progress | None,
) -> None:
    size = 0
    with FolderWriter(source, shared=shared) as writer:
        for count, move in enumerate((move for move in moves if move.kind == "put"), 1):
            row = differences[move.number].after
            assert row is not None
            if row[1] == LINK:
                parent = move.path.rpartition("/")[0]
                writer.write_link(str(folder), parent, (str(move.number), *row[1:]))
            else:
                writer.write_file(f"{folder}/{move.number}", row)
            size += row[2]
            if progress is not None:
                progress(count, size)


def _look_at_new(differences: Sequence[Difference], moves: Sequence[Move], root: Path) -> dict[str, FileFacts]:
    facts = {}
    for move in moves:
        row = differences[move.number].after
        if move.kind == "put" and row is not None and row[1] != LINK:
            facts[move.path] = to_stat(os.stat(root / move.path)), row[3]
    return facts


@contextlib.contextmanager
def _open_journal(staging: Path, root: str, moves: Sequence[Move]) -> Iterator[None]:
    """Write down what is about to be done, and hold a lock that says that somebody is doing it."""
    with (staging / _JOURNAL).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(msgspec.msgpack.encode((root, moves)))
        file.flush()
        os.fsync(file.fileno())
        yield


def _do(move: Move, root: Path, staging: Path) -> None:
    path = root / move.path
    match move.kind:
        case "take":
            os.rename(path, staging / "old" / str(move.number))
        case "remove folder":
            path.rmdir()
        case "make folder":
            path.mkdir()
        case "put":
            os.rename(staging / "new" / str(move.number), path)


def _undo(moves: Sequence[Move], root: Path, staging: Path) -> None:
    """Bring back what was, as far as it was changed."""
    for move in reversed(moves):
        path = root / move.path
        old, new = staging / "old" / str(move.number), staging / "new" / str(move.number)
        match move.kind:
            case "put" if not os.path.lexists(new):
                os.rename(path, new)
            case "make folder" if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            case "remove folder":
                path.mkdir(exist_ok=True)
            case "take" if os.path.lexists(old):
                os.rename(old, path)
