"""A stored file as a seekable stream."""

import io
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.blob_store import Data


class ObjectFile(io.RawIOBase):
    """Reads a stored file chunk by chunk, each fetched whole and checked; for one thread.

    Args:
        chunks: digest and length of each chunk, in order.
        fetch: gives a chunk's content by its digest, checked.
    """

    def __init__(self, chunks: Sequence[tuple[bytes, int]], fetch: Callable[[bytes], Data]) -> None:
        self._chunks = chunks
        self._fetch = fetch
        self._ends = list(accumulate(length for _, length in chunks))
        self._size = self._ends[-1] if self._ends else 0
        self._position = 0
        self._number = -1  # of the chunk held, as readers mostly stay near where they are
        self._held: memoryview = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; beyond the end there is nothing to read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise InvalidInputError(f"cannot seek to {base + offset}, which is before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the present chunk reaches."""
        if self._position >= self._size:
            return 0
        rest = self._rest_of_chunk()
        target = memoryview(buffer).cast("B")
        length = min(len(target), len(rest))
        target[:length] = rest[:length]
        self._position += length
        return length

    def _rest_of_chunk(self) -> memoryview:
        number = bisect_right(self._ends, self._position)
        digest, length = self._chunks[number]
        if number != self._number:
            self._held = memoryview(self._fetch(digest))
            self._number = number
        return self._held[self._position - (self._ends[number] - length) :]


def open_stream(chunks: Sequence[tuple[bytes, int]], fetch: Callable[[bytes], Data]) -> io.BufferedReader:
    """A buffered stream over `ObjectFile`."""
    return io.BufferedReader(ObjectFile(chunks, fetch), buffer_size=1 << 16)
