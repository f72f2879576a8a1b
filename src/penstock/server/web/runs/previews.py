"""What of a file can be shown on a page: an image, the first rows of a table, text; never anything that runs."""

import contextlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from penstock.core.ids import Digest
from penstock.storage.objects.stored import StoredObjects

TEXT_BYTES = 200_000
TABLE_BYTES = 32 * 1024 * 1024  # of a Parquet file, which is read from its end
IMAGE_BYTES = 20 * 1024 * 1024
PAGE_BYTES = 5 * 1024 * 1024
ROWS, COLUMNS, CELL = 50, 40, 200
_IMAGES = ("png", "jpg", "jpeg", "gif", "webp", "svg", "bmp", "ico")
_TABLES = {"csv": ",", "tsv": "\t"}


class Kind(StrEnum):
    """How a file is shown."""

    IMAGE = "image"
    TABLE = "table"
    TEXT = "text"
    PAGE = "page"  # HTML, in a frame in which nothing runs
    NOTHING = "nothing"


class Preview(Struct, frozen=True, kw_only=True):
    """A file as a page shows it.

    Attributes:
        kind: which of the rest says something.
        text: of a text.
        columns: of a table.
        rows: of a table.
        note: what is left out, or why nothing is shown.
    """

    kind: Kind
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""


def make_preview(objects: StoredObjects, name: str, digest: Digest, size: int) -> Preview:
    """The preview of a file; its name's ending says what it is taken for."""
    ending = name.rpartition(".")[2].lower()
    if ending in _IMAGES:
        return Preview(kind=Kind.IMAGE) if size <= IMAGE_BYTES else _too_large("image")
    if ending in ("html", "htm"):
        return Preview(kind=Kind.PAGE) if size <= PAGE_BYTES else _too_large("page")
    if ending in ("parquet", "pq"):
        return _read_parquet(objects, digest) if size <= TABLE_BYTES else _too_large("table")
    head = objects.read_range(digest, 0, min(size, TEXT_BYTES)) if size else b""
    if ending in _TABLES:
        return _read_table(bytes(head), _TABLES[ending], is_whole=size <= TEXT_BYTES)
    return _read_text(bytes(head), ending, is_whole=size <= TEXT_BYTES)


def _read_text(head: bytes, ending: str, *, is_whole: bool) -> Preview:
    if b"\x00" in head:
        return Preview(kind=Kind.NOTHING, note="This is no text; download it to look at it.")
    if ending == "json" and is_whole:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):  # then it is shown as it stands
            head = msgspec.json.format(head, indent=2)
    note = "" if is_whole else f"Only the first {TEXT_BYTES:,} bytes are shown."
    return Preview(kind=Kind.TEXT, text=head.decode(errors="replace"), note=note)


def _read_table(head: bytes, separator: str, *, is_whole: bool) -> Preview:
    """The first rows, every cell as the text it is."""
    from penstock.server.web.runs.table_heads import read_csv  # its data frames would cost every server's start 0.3 s

    lines = head if is_whole else head[: head.rfind(b"\n") + 1]
    table = read_csv(lines, separator, ROWS + 1)
    return _read_text(head, "", is_whole=is_whole) if table is None else _to_table(*table, is_more=not is_whole)


def _read_parquet(objects: StoredObjects, digest: Digest) -> Preview:
    from penstock.server.web.runs.table_heads import read_parquet  # as above

    with objects.open(digest) as stream:
        table = read_parquet(stream.read(), ROWS + 1)
    if table is None:
        return Preview(kind=Kind.NOTHING, note="This is no Parquet file that can be read.")
    return _to_table(*table, is_more=False)


def _to_table(names: Sequence[str], held: Sequence[Sequence[Any]], *, is_more: bool) -> Preview:
    is_cut = is_more or len(held) > ROWS or len(names) > COLUMNS
    note = f"Only the first {ROWS} rows and {COLUMNS} columns are shown." if is_cut else ""
    columns = tuple(name[:CELL] for name in names[:COLUMNS])
    rows = tuple(tuple(_to_cell(value) for value in row[:COLUMNS]) for row in held[:ROWS])
    return Preview(kind=Kind.TABLE, columns=columns, rows=rows, note=note)


def _to_cell(value: Any) -> str:
    return "–" if value is None else str(value)[:CELL]


def _too_large(what: str) -> Preview:
    return Preview(kind=Kind.NOTHING, note=f"This {what} is too large to be shown here; download it.")
