"""`penstock.data`: which version of each path a folder has, one line each, to be kept in Git.

A line is a JSON list: the path, `folder` or `file`, the digest of its tree, how many files, how many bytes, the name of
the dataset, and what was to be done with symbolic links. Lines are in order of the paths, so that two people who add
different paths change different lines.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest, new_id
from penstock.storage.objects.folders.scanning import LinkPolicy
from penstock.storage.objects.format import parse_digest
from penstock.storage.objects.local import explained

FILE_NAME = "penstock.data"
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


class Pointer(Struct, frozen=True, array_like=True):
    """The version of one path."""

    path: str  # below the folder of the file, `/` between names
    kind: Literal["folder", "file"]
    tree: Digest  # of a file: the tree with nothing but that file
    files: int
    size: int  # bytes
    dataset: str  # whose versions the path has
    links: LinkPolicy = "refuse"


def parse_pointers(text: str, name: str = FILE_NAME) -> dict[str, Pointer]:
    """The lines of the file, by path.

    Raises:
        InvalidInputError: a line is none, or a path stands there twice; the message has the number of the line.
    """
    found: dict[str, Pointer] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_CONFLICT):
            raise InvalidInputError(
                f"{name} line {number} is a merge conflict", hint="keep one line for each path, and remove the marks"
            )
        try:
            pointer = msgspec.json.decode(line, type=Pointer)
            parse_digest(pointer.tree)
        except (msgspec.DecodeError, InvalidInputError) as error:
            raise InvalidInputError(f"{name} line {number} cannot be read: {error}") from error
        if pointer.path in found:
            raise InvalidInputError(f"{name} line {number} names {pointer.path!r} a second time")
        found[pointer.path] = pointer
    return found


def format_pointers(pointers: Iterable[Pointer]) -> str:
    """The text of the file."""
    ordered = sorted(pointers, key=lambda pointer: pointer.path)
    return "".join(f"{format_pointer(pointer)}\n" for pointer in ordered)


def format_pointer(pointer: Pointer) -> str:
    """One line."""
    return msgspec.json.encode(pointer).decode()


def load_pointers(folder: Path) -> dict[str, Pointer]:
    """What a folder's file says; nothing where there is none."""
    try:
        text = (folder / FILE_NAME).read_text("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{FILE_NAME} is not UTF-8: {error}") from error
    return parse_pointers(text)


def save_pointers(folder: Path, pointers: Iterable[Pointer]) -> None:
    """Write a folder's file, whole or not at all."""
    path = folder / FILE_NAME
    temporary = folder / f".{FILE_NAME}.{new_id()}.tmp"
    with explained(path):
        try:
            with temporary.open("x", encoding="utf-8") as file:
                file.write(format_pointers(pointers))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
