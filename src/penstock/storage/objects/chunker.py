"""Where a large file is cut."""

from typing import Protocol

CHUNK_SIZE = 1 << 20


class Chunker(Protocol):
    """Says how long the next chunk of a file is.

    `largest` is the longest chunk it ever cuts. `cut` is given the next `largest` bytes of a file, fewer where the file
    ends, and must answer the same for the same bytes, wherever in whichever file they stand.
    """

    largest: int

    def cut(self, data: memoryview) -> int:
        """The length of the first chunk of `data`, from 1 to `len(data)`."""
        ...


class FixedChunker:
    """Cuts every `size` bytes: a file that grows at its end shares all but its last chunk with what it was."""

    def __init__(self, size: int = CHUNK_SIZE) -> None:
        self.largest = size

    def cut(self, data: memoryview) -> int:
        """All of what it is given."""
        return min(len(data), self.largest)
