"""How objects are written: two bytes that say what follows, then the content; the digest covers both.

`B1` bytes: a small file, or one chunk of a large one.
`F1` file: a large file as the list of its chunks, 36 bytes each: digest and length.
`T1` tree: a folder as the list of its entries in order of their names, in MessagePack.

An encoding is canonical: the same content has one encoding and so one digest. Chunks may have any length, so a chunker
that cuts by content needs no new format; whatever does gets the next number.
"""

import itertools
import re
import struct
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec
from blake3 import blake3
from msgspec import Struct

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import Data

BYTES, FILE, TREE = b"B1", b"F1", b"T1"
HEADER_SIZE = 2
DIGEST_SIZE = 32
PART = struct.Struct(">32sI")  # a digest and a length
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNUSABLE = re.compile(r"[/\\\0]")
_RESERVED = ("", ".", "..")
_NAME_LIMIT = 255  # bytes; what file systems hold


class EntryKind(StrEnum):
    """What an entry of a tree is."""

    FILE = "file"
    EXECUTABLE = "executable"  # a file that may be run
    FOLDER = "folder"
    LINK = "link"  # a symbolic link; its content is where it leads


KINDS = tuple(EntryKind)  # the place in this tuple is the number on disk
TreeRow = tuple[str, int, int, bytes]  # an entry of a tree as it is kept: name, number of its kind, size, digest
_rows = msgspec.msgpack.Decoder(list[TreeRow])


class TreeEntry(Struct, frozen=True):
    """One file or folder in a tree."""

    name: str
    kind: EntryKind
    size: int  # bytes; of a folder, all that is below it
    digest: Digest


class Tree(Struct, frozen=True):
    """A folder: its entries in order of their names."""

    entries: tuple[TreeEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files below."""
        return sum(entry.size for entry in self.entries)


def digest_of(*parts: Data) -> bytes:
    """The 32-byte digest of the parts, one after the other."""
    hasher = blake3(parts[0])
    for part in parts[1:]:
        hasher.update(part)
    return hasher.digest()


def to_digest(raw: bytes) -> Digest:
    """The digest as people read it."""
    return Digest(raw.hex())


def parse_digest(digest: str) -> bytes:
    """The 32 bytes of a digest.

    Raises:
        InvalidInputError: it is not 64 hexadecimal digits.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidInputError(f"{digest!r} is no digest", hint="a digest has 64 hexadecimal digits", field="digest")
    return bytes.fromhex(digest)


def check_entry_name(name: str) -> str:
    """The name itself, when a file or folder of a tree may have it.

    Raises:
        InvalidInputError: it could lead out of the folder it stands in, or cannot be stored.
    """
    if name.isascii() and len(name) <= _NAME_LIMIT and name not in _RESERVED and not _UNUSABLE.search(name):
        return name  # nearly all names; there may be millions
    if name in _RESERVED or _UNUSABLE.search(name):
        raise InvalidInputError(f"{name!r} cannot name a file of a tree", hint="names hold no '/', '\\' or NUL")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"the file name {name!r} is not valid UTF-8", hint="rename it") from error
    if length > _NAME_LIMIT:
        raise InvalidInputError(f"the file name {name[:40]!r}... has {length} bytes; {_NAME_LIMIT} is the limit")
    return name


def encode_parts(parts: Iterable[tuple[bytes, int]]) -> bytes:
    """A list of digests and lengths."""
    return b"".join(PART.pack(digest, length) for digest, length in parts)


def decode_parts(payload: Data) -> list[tuple[bytes, int]]:
    """What `encode_parts` wrote; CorruptDataError when it did not."""
    if len(payload) % PART.size:
        raise CorruptDataError(f"a list of parts has {len(payload)} bytes, which is no multiple of {PART.size}")
    parts = list(PART.iter_unpack(payload))
    if any(length == 0 for _, length in parts):
        raise CorruptDataError("a list of parts has an empty one")
    return parts


def encode_tree(rows: Sequence[TreeRow]) -> bytes:
    """The content of a tree object, from the rows of its entries in any order; the names are usable ones.

    Raises:
        InvalidInputError: a name stands there twice.
    """
    ordered = sorted(rows)
    for before, row in itertools.pairwise(ordered):
        if before[0] == row[0]:
            raise InvalidInputError(f"a tree has {row[0]!r} twice")
    return msgspec.msgpack.encode(ordered)


def decode_rows(payload: Data) -> list[TreeRow]:
    """What `encode_tree` wrote; CorruptDataError when it did not."""
    try:
        rows = _rows.decode(payload)
        for name, kind, size, digest in rows:
            check_entry_name(name)
            if not 0 <= kind < len(KINDS) or size < 0 or len(digest) != DIGEST_SIZE:
                raise InvalidInputError(f"the entry {name!r} is malformed")
        canonical = encode_tree(rows)
    except (msgspec.DecodeError, InvalidInputError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"this is no tree: {error}") from error
    if canonical != payload:
        raise CorruptDataError("this tree is not in its canonical form")
    return rows


def decode_tree(payload: Data) -> Tree:
    """The rows of a tree as entries; errors as `decode_rows`."""
    return Tree(tuple(to_entry(row) for row in decode_rows(payload)))


def to_entry(row: TreeRow) -> TreeEntry:
    """An entry as people read it."""
    name, kind, size, digest = row
    return TreeEntry(name, KINDS[kind], size, to_digest(digest))


def to_row(entry: TreeEntry) -> TreeRow:
    """An entry as it is kept; InvalidInputError when its name or digest is unusable."""
    return check_entry_name(entry.name), KINDS.index(entry.kind), entry.size, parse_digest(entry.digest)
