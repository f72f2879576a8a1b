"""Which object has which MD5: kept beside, so that nothing is hashed a second time; it may be lost at any moment."""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from penstock.storage.objects.format import DIGEST_SIZE, digest_of

_MD5_SIZE, _CHECK_SIZE = 16, 8
_ROW = struct.Struct(f"<{_MD5_SIZE}s{DIGEST_SIZE}sQ")
_WHOLE = _ROW.size + _CHECK_SIZE


class Known(Struct, frozen=True):
    """A file whose content was hashed."""

    md5: str
    digest: bytes
    size: int  # bytes


class Md5Index:
    """A file of rows that are only ever added; a row that is not whole counts for nothing.

    Args:
        file: need not be there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._by_md5: dict[bytes, tuple[bytes, int]] = {}
        self._by_digest: dict[bytes, bytes] = {}
        body = file.read_bytes() if file.is_file() else b""
        for start in range(0, len(body) - _WHOLE + 1, _WHOLE):
            row = body[start : start + _ROW.size]
            if digest_of(row)[:_CHECK_SIZE] == body[start + _ROW.size : start + _WHOLE]:
                self._learn(*_ROW.unpack(row))

    def find(self, md5: str) -> Known | None:
        """The object whose bytes have an MD5."""
        found = self._by_md5.get(bytes.fromhex(md5))
        return None if found is None else Known(md5, *found)

    def find_md5(self, digest: bytes) -> str | None:
        """The MD5 of an object's bytes."""
        found = self._by_digest.get(digest)
        return None if found is None else found.hex()

    def add(self, rows: Iterable[Known]) -> None:
        """Remember objects, which the store has by now."""
        fresh = [row for row in rows if row.digest not in self._by_digest]
        if not fresh:
            return
        body = bytearray()
        for row in fresh:
            packed = _ROW.pack(bytes.fromhex(row.md5), row.digest, row.size)
            body += packed + digest_of(packed)[:_CHECK_SIZE]
            self._learn(bytes.fromhex(row.md5), row.digest, row.size)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            file.write(bytes(-end % _WHOLE) + body)  # rows stand at multiples of their length, whatever went before

    def _learn(self, md5: bytes, digest: bytes, size: int) -> None:
        self._by_md5[md5] = (digest, size)
        self._by_digest[digest] = md5
