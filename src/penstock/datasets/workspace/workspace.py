"""A folder whose data is versioned: what is added, what changed since, and back to what was."""

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from msgspec import Struct, structs

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, check_name
from penstock.datasets.workspace.pointers import FILE_NAME, Pointer, load_pointers, save_pointers
from penstock.storage.objects.folders.adding import Added, Progress, look_at
from penstock.storage.objects.folders.checkout import Source
from penstock.storage.objects.folders.comparing import FOLDER, Difference, compare, look_into
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.folders.shared_files import LinkKind, SharedFiles
from penstock.storage.objects.folders.stat_cache import StatCache, wait_until_settled
from penstock.storage.objects.folders.updating import check_saved, recover, update_folder
from penstock.storage.objects.format import TreeEntry, check_entry_name, decode_rows, digest_of, parse_digest, to_digest
from penstock.storage.objects.local import explained

HOME = ".penstock"
_MARKS = (FILE_NAME, "penstock.toml", HOME)
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.\-]+|^[^A-Za-z0-9]+|[^A-Za-z0-9]+$")
ChangeKind = Literal["added", "removed", "modified"]


class Change(Struct, frozen=True):
    """A file that is not what the version of its path has."""

    path: str  # below the path that is versioned; empty for a single file
    change: ChangeKind


class PathStatus(Struct, frozen=True):
    """How a path compares with its version."""

    path: str
    state: Literal["unchanged", "changed", "missing"]
    changes: tuple[Change, ...] = ()


class AddedPath(Struct, frozen=True):
    """A path that was added."""

    pointer: Pointer
    is_new: bool  # whether anything changed since it was added before
    read: int  # files that had to be read


class Objects(Source, Protocol):
    """The object store, as far as it is used here."""

    def has(self, digest: Digest) -> bool:
        """Whether an object is there."""
        ...

    def add_folder(
        self,
        folder: Path,
        *,
        rules: Rules,
        known: StatCache,
        found: StatCache,
        only: str,
        progress: Progress | None,
        meanwhile: Callable[[], object] | None,
    ) -> Added:
        """Keep a folder, or one file of it."""
        ...

    def checkout(
        self, tree: Digest, target: Path, *, found: StatCache, shared: SharedFiles | None, progress: Progress | None
    ) -> None:
        """Write a tree to a folder."""
        ...

    def list_files(self, tree: Digest) -> Iterator[tuple[str, TreeEntry]]:
        """Every file below a tree."""
        ...


class Workspace:
    """A folder with data in it.

    Args:
        root: the folder.
        open_objects: opens the store that keeps the data; not called where nothing changed.
        home: where the state of the folder lies.
    """

    def __init__(self, root: Path, open_objects: Callable[[], Objects], home: Path) -> None:
        self.root = root
        self._open_objects = open_objects
        self._home = home

    @cached_property
    def objects(self) -> Objects:
        """Where the data is kept."""
        return self._open_objects()

    def pointers(self) -> dict[str, Pointer]:
        """The version of each path; InvalidInputError when the file has mistakes."""
        return load_pointers(self.root)

    def add(
        self,
        path: str,
        rules: Rules,
        *,
        dataset: str = "",
        progress: Progress | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> AddedPath:
        """Keep what lies under a path, and make it the version that the folder has.

        Args:
            path: a file or folder.
            rules: what a folder may hold.
            dataset: the name under which versions are recorded; empty: the one it had, or else after the path.
            progress: told the files and bytes so far, now and then.
            meanwhile: called once, when this process may do something else while others read.

        Raises:
            NotFoundError: there is nothing.
            InvalidInputError: it cannot be kept, or is part of what is versioned under another path.
            ConflictError: somebody changed a file meanwhile, or works on the data of this folder.
        """
        with self._locked():
            pointers = self.pointers()
            self._check_path(path, pointers)
            found = StatCache()
            folder, only = self._place(path)
            added = self.objects.add_folder(
                folder,
                rules=rules,
                known=StatCache.load(self._cache_file(path)),
                found=found,
                only=only,
                progress=progress,
                meanwhile=meanwhile,
            )
            kind, tree = _kind_of(only), to_digest(added.digest)
            before = pointers.get(path)
            dataset = dataset or (before.dataset if before else name_of(path))
            pointer = Pointer(path, kind, tree, added.files, added.size, dataset, rules.links)
            is_new = before != pointer
            if is_new:
                save_pointers(self.root, (pointers | {path: pointer}).values())
            self._save(path, found)
        return AddedPath(pointer, is_new, added.read)

    def point(self, fresh: Sequence[Pointer]) -> None:
        """Make versions that are kept already the ones that the folder has; no file is written.

        Raises:
            InvalidInputError: a path is part of what is versioned under another one.
            ConflictError: somebody works on the data of this folder.
        """
        with self._locked():
            pointers = self.pointers()
            for pointer in fresh:
                self._check_path(pointer.path, pointers)
                pointers[pointer.path] = pointer
            save_pointers(self.root, pointers.values())

    def status(self, path: str, *, progress: Progress | None = None) -> PathStatus:
        """How a path compares with its version; files that may have changed are read.

        Args:
            path: has a version.
            progress: told the files and bytes so far, now and then.

        Raises:
            NotFoundError: the path has no version.
        """
        pointer = self.get_pointer(path)
        if not os.path.lexists(self.root / path):
            return PathStatus(path, "missing")
        found = StatCache()
        added = self._look_at(path, Rules(pointer.links), found, progress)
        if added.read:
            self._save(path, found)
        if to_digest(added.digest) == pointer.tree:
            return PathStatus(path, "unchanged")
        differences = self._differences(pointer.tree, added.digest, found)
        return PathStatus(path, "changed", tuple(_to_change(each, pointer) for each in differences if _is_file(each)))

    def check_out(
        self,
        path: str,
        *,
        tree: Digest | None = None,
        is_forced: bool = False,
        link: LinkKind = "copy",
        progress: Progress | None = None,
    ) -> int:
        """Make a path what its version is, or another one; returns how many files were written or removed.

        Args:
            path: has a version.
            tree: of another version, which becomes the one that the folder has.
            is_forced: whether files may be lost that were never added.
            link: whether files are written, or are links to files that other folders have as well.
            progress: told the files and bytes so far, now and then: those that are looked at, then those written.

        Raises:
            NotFoundError: the path has no version, or the store not all of it.
            ConflictError: files would be lost that were never added.
        """
        self.get_pointer(path)  # before anything is made here
        with self._locked():
            pointer = self.get_pointer(path)
            wanted = parse_digest(tree or pointer.tree)
            self._check_kept(pointer, wanted)
            shared = None if link == "copy" else SharedFiles(self._home / "cache" / "files", link)
            changed = self._write(pointer, wanted, is_forced, shared, progress)
            if tree is not None and tree != pointer.tree:
                files = [entry for _, entry in self.objects.list_files(tree)]
                size = sum(entry.size for entry in files)
                pointer = structs.replace(pointer, tree=tree, files=len(files), size=size)
                save_pointers(self.root, (self.pointers() | {path: pointer}).values())
        return changed

    def get_pointer(self, path: str) -> Pointer:
        """The version of a path; NotFoundError when it has none."""
        pointer = self.pointers().get(path)
        if pointer is None:
            raise NotFoundError(f"{path} has no version in {FILE_NAME}", hint=f"penstock data add {path}")
        return pointer

    def _check_kept(self, pointer: Pointer, tree: bytes) -> None:
        if not self.objects.has(to_digest(tree)):
            raise NotFoundError(
                f"the store here has no version {to_digest(tree)} of {pointer.path}",
                hint="'penstock data pull' fetches it from a remote",
            )

    def _write(
        self,
        pointer: Pointer,
        wanted: bytes,
        is_forced: bool,
        shared: SharedFiles | None,
        progress: Progress | None,
    ) -> int:
        target = self.root / pointer.path
        root, beside = (target.parent, target.parent) if pointer.kind == "file" else (target, target.parent)
        found = StatCache()
        if pointer.kind == "folder" and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self.objects.checkout(to_digest(wanted), target, found=found, shared=shared, progress=progress)
            self._save(pointer.path, found)
            return pointer.files
        recover(beside)
        was: bytes | None = None
        if os.path.lexists(target):
            was = self._look_at(pointer.path, Rules(pointer.links), found, progress).digest
        else:
            root.mkdir(parents=True, exist_ok=True)
        differences = list(compare(look_into(found), self._look, was, wanted))
        if not is_forced:
            check_saved(self.objects.has, differences, target)
        if differences:
            fresh = update_folder(self.objects, differences, root, beside, shared, progress)
            known, found = found, StatCache()
            wait_until_settled(fact[0].changed_ns for fact in fresh.values())
            folder, only = (root, target.name) if pointer.kind == "file" else (root, "")
            look_at(folder, Rules(pointer.links), known, found, only, fresh)
        self._save(pointer.path, found)
        return sum(1 for each in differences if _is_file(each))

    def _look_at(self, path: str, rules: Rules, found: StatCache, progress: Progress | None) -> Added:
        """What lies under a path now; nothing is kept."""
        folder, only = self._place(path)
        return look_at(folder, rules, StatCache.load(self._cache_file(path)), found, only, progress=progress)

    def _place(self, path: str) -> tuple[Path, str]:
        """The folder that a path stands for, or the one that a file is in and its name."""
        target = self.root / path
        return (target.parent, target.name) if target.is_file() else (target, "")

    def _differences(self, tree: Digest, now: bytes, found: StatCache) -> Iterator[Difference]:
        return compare(self._look, look_into(found), parse_digest(tree), now)

    def _look(self, path: str, digest: bytes) -> list[tuple[str, int, int, bytes]]:
        _, payload = self.objects.read_object(digest)
        return decode_rows(payload)

    def _check_path(self, path: str, pointers: dict[str, Pointer]) -> None:
        for other in pointers:
            if other != path and (f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")):
                outer, inner = sorted((path, other), key=len)
                raise InvalidInputError(
                    f"{inner} is a part of {outer}, and only one of them can be versioned",
                    hint=f"add {other}, or remove its line from {FILE_NAME} first",
                )

    def _cache_file(self, path: str) -> Path:
        return self._home / "cache" / "stat" / digest_of(path.encode()).hex()[:32]

    def _save(self, path: str, found: StatCache) -> None:
        with contextlib.suppress(OSError):  # without it files are read once more
            found.save(self._cache_file(path))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._home.mkdir(parents=True, exist_ok=True)
        with explained(Path(HOME)), (self._home / "data.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(
                    f"another command is changing the data of {self.root}", hint="try again when it is done"
                ) from None
            yield


def find_root(start: Path) -> Path:
    """The nearest folder from `start` upwards that penstock was used in; `start` itself where there is none."""
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return start


def path_in(root: Path, given: Path) -> str:
    """A path as it stands in the pointers of a folder.

    Raises:
        InvalidInputError: it is not below the folder, or is the folder of its state.
    """
    path = Path(os.path.abspath(given))
    if path == root or not path.is_relative_to(root):
        raise InvalidInputError(f"{given} is not below {root}", hint="change into the folder above it first")
    if HOME in path.relative_to(root).parts[:1]:
        raise InvalidInputError(f"{given} is where penstock keeps its own state")
    return "/".join(check_entry_name(part) for part in path.relative_to(root).parts)


def name_of(path: str) -> str:
    """The dataset that a path becomes when nobody names it."""
    return dataset_name(PurePosixPath(path).name)


def dataset_name(text: str) -> str:
    """A name for a dataset that is as near as may be to a text."""
    return check_name(_UNUSABLE.sub("", text) or "data", "dataset")


def _kind_of(only: str) -> Literal["folder", "file"]:
    return "file" if only else "folder"


def _is_file(difference: Difference) -> bool:
    return any(row is not None and row[1] != FOLDER for row in (difference.before, difference.after))


def _to_change(difference: Difference, pointer: Pointer) -> Change:
    path = "" if pointer.kind == "file" else difference.path
    if difference.before is None or difference.before[1] == FOLDER:
        return Change(path, "added")
    return Change(path, "removed" if difference.after is None or difference.after[1] == FOLDER else "modified")
