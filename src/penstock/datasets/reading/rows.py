"""CSV and JSON Lines read in pieces that end where a row does."""

import gzip
import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import polars as pl

from penstock.datasets.frames.formats import HEAD, has_decimal_commas, separator_of

PIECE_SIZE = 8 << 20
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class CsvFile:
    """A CSV file behind a stream; for one pass.

    Args:
        stream: the file, which may be compressed by gzip.
        separator: what stands between values; empty: what separates the names.
        size: bytes of a piece, at least.
    """

    def __init__(self, stream: BinaryIO, separator: str = "", *, size: int = PIECE_SIZE) -> None:
        head = stream.read(len(_GZIP))
        stream.seek(0)
        self._stream = cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if head == _GZIP else stream
        self._separator = separator
        self._size = size

    def read(self, types: dict[str, pl.DataType] | None) -> Iterator[pl.DataFrame]:
        """The rows.

        Args:
            types: of all columns; None: each piece has the types that its own values suggest.
        """
        names = b""
        for piece in cut_rows(self._stream, self._size, has_quotes=True):
            if not names:
                piece = piece.removeprefix(_BOM)
                self._settle(piece[:HEAD])
                end = _end_of_row(piece, 0)
                names, piece = piece[:end].rstrip(b"\r\n") + b"\n", piece[end:]
            yield self._parse(names, piece, types)

    def _settle(self, head: bytes) -> None:
        """Find out how the file is written."""
        self._separator = self._separator or separator_of(head)
        self._has_commas = has_decimal_commas(head, self._separator)

    def _parse(self, names: bytes, piece: bytes, types: dict[str, pl.DataType] | None) -> pl.DataFrame:
        written = pl.read_csv(io.BytesIO(names), separator=self._separator, infer_schema=False).columns
        plain = {name: name.replace('""', '"') for name in written}
        # Times are read as their own form says; anything else as what it is known to be.
        known = {name: types[plain[name]] for name in written if plain[name] in types} if types else {}
        frame = pl.read_csv(
            io.BytesIO(names + piece),
            separator=self._separator,
            schema_overrides={name: dtype for name, dtype in known.items() if not dtype.is_temporal()},
            try_parse_dates=True,
            infer_schema_length=None,
            decimal_comma=self._has_commas,
        )
        return frame.rename(plain)


def read_json_lines(
    stream: BinaryIO, types: dict[str, pl.DataType] | None, *, size: int = PIECE_SIZE
) -> Iterator[pl.DataFrame]:
    """The rows of a JSON Lines file; arguments as for `CsvFile`."""
    for piece in cut_rows(stream, size, has_quotes=False):
        yield pl.read_ndjson(io.BytesIO(piece), schema=types, infer_schema_length=None)


def cut_rows(stream: BinaryIO, size: int, *, has_quotes: bool) -> Iterator[bytes]:
    """A text in pieces of whole rows.

    Args:
        stream: the text.
        size: bytes of a piece, about; one with a longer row is larger.
        has_quotes: whether a line may end within quotes without ending its row.
    """
    held = b""
    while more := stream.read(size):
        held += more
        end = _last_end(held, has_quotes=has_quotes)
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _last_end(text: bytes, *, has_quotes: bool) -> int:
    """Where the last whole row ends; 0 when there is none."""
    end = len(text)
    is_within = has_quotes and text.count(b'"') % 2 == 1
    while (line := text.rfind(b"\n", 0, end)) >= 0:
        is_within ^= has_quotes and text.count(b'"', line, end) % 2 == 1
        if not is_within:
            return line + 1
        end = line
    return 0


def _end_of_row(text: bytes, start: int) -> int:
    """Where the row that begins at `start` ends."""
    end = start
    while (line := text.find(b"\n", end)) >= 0:
        end = line + 1
        if text.count(b'"', start, end) % 2 == 0:
            return end
    return len(text)
