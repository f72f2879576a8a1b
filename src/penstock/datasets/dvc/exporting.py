"""A version becomes what DVC checks out: a `.dvc` file, and the content in a cache or remote."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from msgspec import Struct

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Digest, new_id
from penstock.core.plain_yaml import load_yaml
from penstock.datasets.dvc.format import FOLDER_ENDING, PIECE_SIZE, Hasher, encode_folder, key_of, md5_of
from penstock.datasets.dvc.importing import Progress
from penstock.datasets.dvc.md5_index import Known, Md5Index
from penstock.datasets.dvc.project import ENDING, HOME, read_config
from penstock.storage.objects.format import EntryKind, TreeEntry, parse_digest
from penstock.storage.objects.local import explained
from penstock.storage.objects.stored import StoredObjects

_BATCH = 10_000  # files after which their MD5s are remembered
_READ_ONLY = 0o444  # as DVC has it: what is in a cache does not change
_TEMPORARY = ".penstock-{}.tmp"
_ABANDONED_S = 86_400.0  # after which the process that wrote it was killed
_IGNORED = "/config.local\n/tmp\n/cache\n"


class Exported(Struct, frozen=True):
    """What was written."""

    file: str  # the `.dvc` file
    path: str  # of the data, below the folder
    md5: str
    files: int
    size: int  # bytes
    written: int  # files that the cache or remote did not have
    empty_folders: int  # that DVC cannot keep


def export_version(
    objects: StoredObjects,
    tree: Digest,
    folder: Path,
    path: str,
    index: Md5Index,
    *,
    is_file: bool,
    remote: Path | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a version for DVC.

    Args:
        objects: has the files.
        tree: the version's; for a single file a tree with nothing but that.
        folder: of the DVC project; where there is none, a plain one is made.
        path: that the data has below it.
        index: knows MD5s, and is told of more.
        is_file: whether the version is a single file.
        remote: a folder to put the content into instead of the cache of the project.
        progress: told the files and bytes so far, now and then.

    Raises:
        InvalidInputError: something in the version is a link, which DVC does not know.
        ConflictError: the `.dvc` file is there and is about something else.
        CorruptDataError: a file is not what was stored.
        StorageFullError: there is no room.
    """
    pointer = folder / f"{path}{ENDING}"
    _check_pointer(pointer, path)
    files = dict(_list_files(objects, tree))
    with explained(folder):
        _make_project(folder)
        store = _CacheFolder(remote or read_config(folder / HOME).cache)
        exporter = _Exporter(objects, store, index, progress)
        hashes = exporter.write(files)
        out = _describe(files, hashes, path, store, is_file=is_file)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        _replace(pointer, yaml.safe_dump({"outs": [out]}, sort_keys=False, allow_unicode=True).encode())
    return Exported(
        file=str(pointer),
        path=path,
        md5=out["md5"],
        files=len(files),
        size=out["size"],
        written=exporter.written,
        empty_folders=_count_empty(objects, tree),
    )


class _Exporter:
    def __init__(
        self, objects: StoredObjects, store: "_CacheFolder", index: Md5Index, progress: Progress | None
    ) -> None:
        self._objects = objects
        self._store = store
        self._index = index
        self._progress = progress
        self._fresh: list[Known] = []
        self.written = 0

    def write(self, files: dict[str, TreeEntry]) -> dict[str, str]:
        """Bring all files into the cache; the MD5 of each."""
        hashes = {}
        size = 0
        try:
            for number, (path, entry) in enumerate(files.items(), 1):
                hashes[path] = self._write(entry)
                size += entry.size
                if self._progress is not None:
                    self._progress(number, size)
                if len(self._fresh) >= _BATCH:
                    self._remember()
        finally:
            self._remember()
        return hashes

    def _write(self, entry: TreeEntry) -> str:
        known = self._index.find_md5(parse_digest(entry.digest))
        if known is not None and self._store.has(known, entry.size):
            return known
        with self._objects.open(entry.digest) as stream, self._store.open_new() as file:
            hasher = Hasher()
            while piece := stream.read(PIECE_SIZE):
                hasher.update(piece)
                file.write(piece)
            file.keep(hasher.md5)
        self._fresh.append(Known(hasher.md5, parse_digest(entry.digest), entry.size))
        self.written += 1
        return hasher.md5

    def _remember(self) -> None:
        self._index.add(self._fresh)
        self._fresh = []


class _CacheFolder:
    """A cache or remote of DVC in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for left in root.glob(_TEMPORARY.format("*")):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _ABANDONED_S:
                    left.unlink()

    def has(self, name: str, size: int) -> bool:
        """Whether a file of this size is there."""
        try:
            return os.stat(self.root / key_of(name)).st_size == size
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def open_new(self) -> "Iterator[_NewFile]":
        """A file whose name is known when it is whole; without one it is gone at the end."""
        temporary = self.root / _TEMPORARY.format(new_id())
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                yield _NewFile(file, temporary, self.root)
        finally:
            temporary.unlink(missing_ok=True)


class _NewFile:
    def __init__(self, file: Any, temporary: Path, root: Path) -> None:
        self._file = file
        self._temporary = temporary
        self._root = root
        self.write = file.write

    def keep(self, name: str) -> None:
        """Give the file its place."""
        target = self._root / key_of(name)
        self._file.flush()
        os.fchmod(self._file.fileno(), _READ_ONLY)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._temporary, target)


def _list_files(objects: StoredObjects, tree: Digest) -> Iterator[tuple[str, TreeEntry]]:
    for path, entry in objects.list_files(tree):
        if entry.kind is EntryKind.LINK:
            raise InvalidInputError(
                f"{path} is a symbolic link, which DVC cannot keep", hint="add the data anew with '--links follow'"
            )
        yield path, entry


def _count_empty(objects: StoredObjects, tree: Digest) -> int:
    entries = objects.get_tree(tree).entries
    if not entries:
        return 1
    return sum(_count_empty(objects, entry.digest) for entry in entries if entry.kind is EntryKind.FOLDER)


def _describe(
    files: dict[str, TreeEntry], hashes: dict[str, str], path: str, store: _CacheFolder, *, is_file: bool
) -> dict[str, Any]:
    """The entry of the `.dvc` file; the list of a folder is kept as well."""
    name = PurePosixPath(path).name
    if is_file:
        ((inner, entry),) = files.items()
        mode = {"isexec": True} if entry.kind is EntryKind.EXECUTABLE else {}
        return {"md5": hashes[inner], "size": entry.size, **mode, "hash": "md5", "path": name}
    body = encode_folder(hashes)
    md5 = f"{md5_of(body)}{FOLDER_ENDING}"
    if not store.has(md5, len(body)):
        with store.open_new() as file:
            file.write(body)
            file.keep(md5)
    size = sum(entry.size for entry in files.values())
    return {"md5": md5, "size": size, "nfiles": len(files), "hash": "md5", "path": name}


def _make_project(folder: Path) -> None:
    """A project of DVC, where there is none."""
    home = folder / HOME
    if home.is_dir():
        return
    home.mkdir(parents=True)
    is_in_git = any((each / ".git").exists() for each in (folder.absolute(), *folder.absolute().parents))
    (home / ".gitignore").write_text(_IGNORED)
    (home / "config").write_text("" if is_in_git else "[core]\n    no_scm = True\n")


def _check_pointer(pointer: Path, path: str) -> None:
    if not pointer.exists():
        return
    try:
        outs = load_yaml(pointer.read_bytes())["outs"]
        is_ours = [out["path"] for out in outs] == [PurePosixPath(path).name]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, OSError):
        is_ours = False
    if not is_ours:
        raise ConflictError(f"{pointer} is there and is about something else", hint="export to another folder")


def _replace(file: Path, body: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{new_id()}.tmp")
    try:
        temporary.write_bytes(body)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
