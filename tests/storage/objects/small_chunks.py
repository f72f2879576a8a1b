"""A chunker for tests: small data makes large files."""


class FixedChunker:
    """Cuts every `size` bytes."""

    def __init__(self, size: int) -> None:
        self.whole = self.largest = size

    def cut(self, data: memoryview) -> int:
        return min(len(data), self.largest)
