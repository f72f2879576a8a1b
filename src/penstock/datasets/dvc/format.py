"""How DVC keeps content: every file under its MD5, a folder as a list of these in JSON.

Source: dvc-data 3. Before DVC 3 caches had no `files/md5`, and texts were hashed as if their lines ended as on Unix.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.storage.objects.format import check_entry_name

FOLDER_ENDING = ".dir"
PIECE_SIZE = 1 << 20  # the bytes that DVC reads at a time, on which the old way of hashing depends
_MD5 = re.compile(r"[0-9a-f]{32}")
_LOOKED_AT = 512  # bytes by which DVC tells texts from other files
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_MOST_ODD = 0.30  # share of other bytes in a text


def is_md5(text: object) -> bool:
    """Whether this is 32 hexadecimal digits."""
    return isinstance(text, str) and _MD5.fullmatch(text) is not None


def key_of(name: str) -> str:
    """Where a cache or remote keeps what has an MD5, which for a folder ends in `.dir`."""
    return f"files/md5/{old_key_of(name)}"


def old_key_of(name: str) -> str:
    """Where it was kept before DVC 3."""
    return f"{name[:2]}/{name[2:]}"


def encode_folder(files: Mapping[str, str]) -> bytes:
    """The list of a folder's files: MD5 by path."""
    entries = [{"md5": files[path], "relpath": path} for path in sorted(files)]
    return json.dumps(entries, sort_keys=True).encode()


def decode_folder(body: bytes) -> dict[str, str]:
    """What `encode_folder` wrote.

    Raises:
        CorruptDataError: it is no such list, or names what cannot be a file of a folder.
    """
    try:
        entries = msgspec.json.decode(body, type=list[dict[str, Any]])
        files = {str(entry["relpath"]): entry["md5"] for entry in entries}
        for path, md5 in files.items():
            for part in path.split("/"):
                check_entry_name(part)
            if not is_md5(md5):
                raise InvalidInputError(f"{md5!r} is no MD5")
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, InvalidInputError) as error:
        raise CorruptDataError(f"this is no list of files of DVC: {error}") from error
    return files


def md5_of(body: bytes) -> str:
    """The MD5 of some bytes."""
    return _new_md5(body).hexdigest()


class Hasher:
    """The MD5 of a file that comes in pieces of `PIECE_SIZE`, the last one shorter.

    Args:
        is_old: whether the ways are tried as well in which DVC 2 hashed texts.
    """

    def __init__(self, *, is_old: bool = False) -> None:
        self._plain = _new_md5()
        self._old = (_new_md5(), _new_md5()) if is_old else ()
        self._is_text: bool | None = None  # by the first piece

    def update(self, piece: bytes) -> None:
        """Add the next piece."""
        self._plain.update(piece)
        if not self._old:
            return
        is_text = _is_text(piece[:_LOOKED_AT])
        if self._is_text is None:
            self._is_text = is_text
        by_file, by_piece = self._old
        unix = piece.replace(b"\r\n", b"\n")
        by_file.update(unix if self._is_text else piece)
        by_piece.update(unix if is_text else piece)

    def has(self, md5: str) -> bool:
        """Whether this is the MD5 of what was added."""
        return md5 in (self._plain.hexdigest(), *(each.hexdigest() for each in self._old))

    @property
    def md5(self) -> str:
        """The MD5 of the bytes as they are."""
        return self._plain.hexdigest()


class Out(Struct, frozen=True, kw_only=True):
    """A file or folder that DVC has in its care."""

    path: str  # below the folder of the project
    md5: str
    is_folder: bool = False
    is_old: bool = False  # hashed as before DVC 3
    is_executable: bool = False
    remote: str = ""  # the name of the one that has it; empty: the default one
    file: str  # that says so

    @property
    def name(self) -> str:
        """What its content is kept under."""
        return f"{self.md5}{FOLDER_ENDING}" if self.is_folder else self.md5


def _is_text(block: bytes) -> bool:
    if b"\0" in block:
        return False
    return not block or len(block.translate(None, _TEXT)) / len(block) <= _MOST_ODD


def _new_md5(body: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(body, usedforsecurity=False)
