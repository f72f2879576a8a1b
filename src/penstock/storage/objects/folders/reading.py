"""Reading files into packs."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.storage.objects.chunker import Chunker
from penstock.storage.objects.cutting import CutFile
from penstock.storage.objects.folders.scanning import FileStat, to_stat
from penstock.storage.objects.format import BYTES, HEADER_SIZE, KINDS, EntryKind
from penstock.storage.objects.local import explain
from penstock.storage.objects.pack_writer import PackWriter

_FILE, _EXECUTABLE = KINDS.index(EntryKind.FILE), KINDS.index(EntryKind.EXECUTABLE)
FileFacts = tuple[FileStat, bytes]  # a file as it was read, and the digest of its content


class FileReader:
    """Reads files into packs; for one thread.

    Args:
        pack: where their content goes.
        chunker: where large ones are cut.
    """

    def __init__(self, pack: PackWriter, chunker: Chunker) -> None:
        self._pack = pack
        self._chunker = chunker

    def read_many(self, folder: str, names: Sequence[str]) -> list[FileFacts]:
        """Read files of one folder; errors as `read`."""
        return [self.read(f"{folder}/{name}") for name in names]

    def read(self, path: str) -> FileFacts:
        """Read one file.

        Raises:
            NotFoundError: there is no such file.
            InvalidInputError: it is no ordinary file.
            ConflictError: somebody changed it meanwhile.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # opening a pipe must not wait
            try:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise InvalidInputError(f"{path} is no ordinary file")
                read = self._read_small if before.st_size <= self._chunker.whole else self._read_large
                digest = read(descriptor, before.st_size)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise explain(error, Path(path)) from error
        if digest is None or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise ConflictError(f"{path} was changed while it was read", hint="add it again when nobody writes to it")
        return to_stat(after), digest

    def _read_small(self, descriptor: int, size: int) -> bytes | None:
        """The digest of a file that is not cut; None when it has another size than it had."""
        room = self._pack.room(HEADER_SIZE + size + 1)  # one byte more shows that the file has grown
        room[:HEADER_SIZE] = BYTES
        length = os.readv(descriptor, [room[HEADER_SIZE:]])
        if length < size:
            length += _fill(room[HEADER_SIZE + length :], descriptor, length)
        return self._pack.take(HEADER_SIZE + size) if length == size else None

    def _read_large(self, descriptor: int, size: int) -> bytes | None:
        file = CutFile(self._pack, self._chunker)
        offset = 0
        while length := _fill(file.room(), descriptor, offset):
            file.advance(length)
            offset += length
        return file.finish() if offset == size else None


def _fill(room: memoryview, descriptor: int, offset: int) -> int:
    """Read into all of the room, or to the end of the file; returns how many bytes."""
    length = 0
    while length < len(room):
        count = os.preadv(descriptor, [room[length:]], offset + length)
        if count == 0:
            break
        length += count
    return length


def kind_of(found: FileStat) -> int:
    """The number of the kind of entry that a file is."""
    return _EXECUTABLE if found.mode & stat.S_IXUSR else _FILE


def check_file(path: Path) -> None:
    """Refuse a path that is no file, before work begins; NotFoundError or InvalidInputError."""
    if not path.exists():
        raise NotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise InvalidInputError(f"{path} is no ordinary file")
