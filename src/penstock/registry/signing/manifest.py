"""What of a model directory is signed: every file by its path and digest."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from blake3 import blake3
from msgspec import Struct

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Digest
from penstock.storage.objects.object_store import ObjectStore

FILE = "model.sig"  # where a directory carries its signature; never a part of what is signed
GIT = (".git", ".gitattributes", ".github", ".gitignore")  # what the layout leaves out besides
_CHUNK = 1024 * 1024


class AlteredError(ConflictError):
    """A model is not what was signed, or nobody who is trusted signed it."""


class Manifest(Struct, frozen=True, kw_only=True):
    """The files that a signature speaks for."""

    name: str  # of the directory when it was signed
    files: dict[str, str]  # path -> digest, in hexadecimal
    algorithm: str = "sha256"
    ignored: tuple[str, ...] = (FILE,)


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...
    def hexdigest(self) -> str: ...


def read_folder(folder: Path, algorithm: str = "sha256") -> Manifest:
    """The manifest of a folder.

    Raises:
        InvalidInputError: it is no folder, or holds links or other things that are no files.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is no model directory", hint="name a folder with an MLmodel file")
    files: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InvalidInputError(f"{path} is no plain file and cannot be signed", hint="put a copy in its place")
        if path.is_file():
            with path.open("rb") as file:
                files[path.relative_to(folder).as_posix()] = _digest(file, algorithm)
    return _sorted(folder.resolve().name, files, algorithm)


def read_tree(objects: ObjectStore, tree: Digest, name: str, algorithm: str = "sha256") -> Manifest:
    """The manifest of a directory in the object store, whose bytes are checked on the way.

    Raises:
        CorruptDataError: stored bytes are not what was written.
        NotFoundError: there is no such directory.
    """
    files: dict[str, str] = {}
    for path, entry in objects.list_files(tree):
        with objects.open(entry.digest) as file:
            files[path] = _digest(file, algorithm)
    return _sorted(name, files, algorithm)


def check_files(signed: Manifest, found: Mapping[str, str], model: str) -> None:
    """Compare what is there with what was signed.

    Args:
        signed: from a signature that holds.
        found: path -> digest.
        model: how to call it in a message.

    Raises:
        AlteredError: a file was changed, removed, added or renamed; the message names it.
    """
    there = {path: digest for path, digest in found.items() if not is_ignored(path, signed.ignored)}
    missing = sorted(signed.files.keys() - there.keys())
    added = sorted(there.keys() - signed.files.keys())
    changed = sorted(path for path, digest in there.items() if signed.files.get(path, digest) != digest)
    renamed = [(old, new) for old in missing for new in added if signed.files[old] == there[new]]
    problems = [f"{old} is called {new} now" for old, new in renamed]
    problems += [f"{path} was changed" for path in changed]
    problems += [f"{path} is missing" for path in missing if path not in {old for old, _ in renamed}]
    problems += [f"{path} was added" for path in added if path not in {new for _, new in renamed}]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise AlteredError(
            f"{model} is not what was signed: {', '.join(problems[:5])}{more}",
            hint="restore its files, or register what is there now as another version",
        )


def is_ignored(path: str, ignored: Iterable[str]) -> bool:
    """Whether a signature leaves a path out: its own file, and what belongs to Git where it says so."""
    first = path.split("/", 1)[0]
    return path == FILE or (first in GIT and first in ignored)


def _sorted(name: str, files: dict[str, str], algorithm: str) -> Manifest:
    signed = (path for path in files if path != FILE)
    in_order = sorted(signed, key=PurePosixPath)
    return Manifest(name=name, files={path: files[path] for path in in_order}, algorithm=algorithm)


def _digest(file: BinaryIO, algorithm: str) -> str:
    hasher: _Hasher = blake3() if algorithm == "blake3" else hashlib.new(algorithm)
    while chunk := file.read(_CHUNK):
        hasher.update(chunk)
    return hasher.hexdigest()
