"""A large file on its way into packs: filled piece by piece, and cut as it comes."""

from concurrent.futures import Future

from penstock.storage.objects.chunker import Chunker
from penstock.storage.objects.format import FILE, encode_parts
from penstock.storage.objects.pack_writer import PackWriter, Part


class CutFile:
    """Takes a file from front to back and keeps its chunks in packs; for one caller at a time.

    Args:
        pack: where the chunks go.
        chunker: where the file is cut.
    """

    def __init__(self, pack: PackWriter, chunker: Chunker) -> None:
        self._pack = pack
        self._chunker = chunker
        self._block = pack.lend()
        self._end = 0
        self._kept: list[Future[list[Part]]] = []

    @property
    def is_cut(self) -> bool:
        """Whether any chunk was kept; else `held` is the whole file so far."""
        return bool(self._kept)

    @property
    def held(self) -> memoryview:
        """What was not cut yet."""
        return self._block[: self._end]

    def room(self) -> memoryview:
        """Where the next bytes of the file go; never empty."""
        return self._block[self._end :]

    def advance(self, length: int) -> None:
        """Say that `length` bytes of the room were filled."""
        self._end += length
        if self._end == len(self._block):
            self._cut()

    def finish(self) -> bytes:
        """The digest of the file; its chunks are safe once the packs are flushed."""
        self._cut(is_last=True)
        parts = [part for kept in self._kept for part in kept.result()]
        return parts[0][0] if len(parts) == 1 else self._pack.add(FILE, encode_parts(parts))

    def _cut(self, *, is_last: bool = False) -> None:
        largest = self._chunker.largest
        lengths = []
        start = 0
        while start < self._end:
            length = self._chunker.cut(self._block[start : min(start + largest, self._end)])
            if start + length == self._end and length < largest and not is_last:
                break  # what follows may belong to this chunk
            lengths.append(length)
            start += length
        full, rest = self._block, self._block[start : self._end]
        if not is_last:
            self._block = self._pack.lend()
            self._block[: len(rest)] = rest
        self._end = len(rest)
        self._kept.append(self._pack.keep_chunks(full, lengths))
