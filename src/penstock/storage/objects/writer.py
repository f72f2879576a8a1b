"""A file that arrives in pieces: cut, hashed and written as it comes, and visible only when it is whole."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import Data
from penstock.storage.objects.chunker import Chunker
from penstock.storage.objects.cutting import CutFile
from penstock.storage.objects.format import to_digest
from penstock.storage.objects.pack_writer import PackWriter


class ObjectWriter:
    """Takes a file piece by piece and gives its digest at the end; for one caller at a time.

    Memory is bounded by three blocks of the pack writer, and some 100 bytes for each chunk of the file. Chunks go into
    packs under temporary names, which `finish` publishes; a small file becomes a loose object. Leaving the `with` block
    before `finish` has returned leaves nothing behind. What `finish` has returned survives a power cut.

    Args:
        pack: for this file alone; it holds back its packs.
        chunker: where the file is cut.
        keep_small: keeps a file that is not cut.
    """

    def __init__(self, pack: PackWriter, chunker: Chunker, keep_small: Callable[[Data], Digest]) -> None:
        self.size = 0  # bytes so far
        self._pack = pack
        self._whole = chunker.whole
        self._file = CutFile(pack, chunker)
        self._keep_small = keep_small

    def write(self, data: Data) -> None:
        """Add a piece of any size.

        Raises:
            StorageFullError: there is no room.
            UnavailableError: the store cannot be written just now.
        """
        rest = memoryview(data).cast("B")
        self.size += len(rest)
        while rest:
            room = self._file.room()
            length = min(len(rest), len(room))
            room[:length] = rest[:length]
            self._file.advance(length)
            rest = rest[length:]

    def finish(self) -> Digest:
        """Keep the file and give its digest; errors as `write`, and then nothing of it can be read."""
        if self.size <= self._whole and not self._file.is_cut:
            return self._keep_small(self._file.held)
        digest = self._file.finish()
        self._pack.flush()
        return to_digest(digest)

    def discard(self) -> None:
        """Give up; harmless after `finish`."""
        self._pack.discard()

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing that was not finished."""
        self.discard()
