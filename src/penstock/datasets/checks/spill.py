"""Keys of any number of rows, put apart by their hash, so that equal keys meet again a part at a time."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

PARTS = 128
HELD = 32 << 20  # bytes of keys in memory; what is beyond lies on disk
_PART = "__part"


class KeySpill:
    """Takes in frames of keys, and gives them back in parts: equal keys are in the same one.

    Up to 32 MB stay in memory and are one part; then 128 parts lie in a temporary folder, which `close` removes.
    """

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys
        self._held: list[pl.DataFrame] = []
        self._size = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._flushes = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take in rows; all frames have the same columns."""
        self._held.append(frame)
        self._size += int(frame.estimated_size())
        if self._size > HELD:
            self.flush()

    @property
    def is_on_disk(self) -> bool:
        """Whether there are 128 parts, and not one."""
        return self._folder is not None

    def flush(self) -> None:
        """Write what is in memory to the parts."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="penstock-keys-")
        whole = pl.concat(self._held) if self._held else None
        self._held, self._size = [], 0
        if whole is None:
            return
        part = (whole.select(self._keys).hash_rows(seed=3) % PARTS).alias(_PART)
        for (number,), rows in whole.with_columns(part).partition_by(_PART, as_dict=True, include_key=False).items():
            folder = Path(self._folder.name) / str(number)
            folder.mkdir(exist_ok=True)
            rows.write_ipc(folder / f"{self._flushes}.arrow")
        self._flushes += 1

    def parts(self) -> Iterator[tuple[int, list[Path] | list[pl.DataFrame]]]:
        """Each part by its number: the pieces it is made of, which `load` reads."""
        if self._folder is None:
            yield 0, self._held
            return
        self.flush()
        for number in range(PARTS):
            yield number, sorted((Path(self._folder.name) / str(number)).glob("*.arrow"))

    def close(self) -> None:
        """Give the disk back."""
        if self._folder is not None:
            self._folder.cleanup()


def load(piece: Path | pl.DataFrame) -> pl.DataFrame:
    """The rows of a piece of a part."""
    return pl.read_ipc(piece) if isinstance(piece, Path) else piece
