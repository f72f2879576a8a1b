"""A tree becomes a folder: written beside its place first, then moved there in one step."""

import os
import shutil
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from msgspec import structs

from penstock.core import failpoints
from penstock.core.errors import ConflictError, CorruptDataError, InvalidInputError
from penstock.core.ids import new_id
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.folders.reading import FileReader
from penstock.storage.objects.folders.scanning import FileStat, Listing, to_stat
from penstock.storage.objects.folders.shared_files import SharedFiles
from penstock.storage.objects.folders.stat_cache import FolderState, StatCache, wait_until_settled
from penstock.storage.objects.format import (
    BYTES,
    FILE,
    KINDS,
    TREE,
    EntryKind,
    TreeRow,
    decode_parts,
    decode_rows,
    to_digest,
)
from penstock.storage.objects.local import explained
from penstock.storage.objects.pack import PackReader, Place
from penstock.storage.objects.pack_writer import PackWriter

THREADS = min(8, len(os.sched_getaffinity(0)))  # that write the chunks of a large file
_AHEAD = 4 * THREADS  # chunks on their way
_FOLDER, _LINK, _EXECUTABLE = (KINDS.index(kind) for kind in (EntryKind.FOLDER, EntryKind.LINK, EntryKind.EXECUTABLE))
Progress = Callable[[int, int], object]  # files and bytes so far


class Source(Protocol):
    """Where objects come from."""

    blobs: BlobStore

    def read_object(
        self, digest: bytes, reader: PackReader | None = None, place: Place | None = None
    ) -> tuple[bytes, memoryview]:
        """An object's header and content, checked."""
        ...

    def find_places(self, digests: Sequence[bytes]) -> list[Place | None]:
        """Where objects stand, as far as they are in packs."""
        ...


def check_target(target: Path) -> None:
    """Refuse to write over something.

    Raises:
        ConflictError: the target is a file, a link, or a folder that is not empty.
    """
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if target.is_symlink() or not is_free:
        raise ConflictError(f"{target} is there already", hint="name a new folder, or remove this one first")


def write_folder(
    source: Source,
    tree: bytes,
    target: Path,
    found: StatCache,
    *,
    shared: SharedFiles | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a tree to a folder, whole or not at all.

    Args:
        source: has its objects.
        tree: its digest.
        target: absent, or an empty folder.
        found: is told what the files look like.
        shared: files that other folders have as well; None to write each file.
        progress: told how far it is, now and then.
    """
    check_target(target)
    temporary = target.absolute().parent / f".{new_id()}.tmp"
    with explained(target):
        try:
            os.makedirs(temporary)
            with FolderWriter(source, shared=shared, progress=progress) as writer:
                writer.write(str(temporary), "", tree)
            failpoints.hit("objects.checkout")
            _move(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    writer.tell(found)


class FolderWriter:
    """Writes folders; for one thread.

    Args:
        source: has the objects.
        shared: files that other folders have as well; None to write each file.
        progress: told how far it is, now and then.
    """

    def __init__(self, source: Source, *, shared: SharedFiles | None = None, progress: Progress | None = None) -> None:
        self._source = source
        self._shared = shared
        self._progress = progress
        self._reader = PackReader(source.blobs)
        self._threads: ThreadPoolExecutor | None = None
        self._written: list[tuple[str, FolderState]] = []
        self._files = self._size = 0

    def write(self, root: str, path: str, tree: bytes) -> None:
        """Write what is in a tree to an empty folder.

        Args:
            root: where the first tree is written.
            path: of this one below it; empty for the first.
            tree: its digest.

        Raises:
            NotFoundError, CorruptDataError: something of it is not there or not as it was written.
            StorageFullError: there is no room.
        """
        header, payload = self._source.read_object(tree, self._reader)
        if header != TREE:
            raise CorruptDataError(f"object {to_digest(tree)} is a file where its tree says folder")
        rows = decode_rows(payload)
        folder = f"{root}/{path}" if path else root
        files = [row for row in rows if row[1] not in (_FOLDER, _LINK)]
        folders = [row for row in rows if row[1] == _FOLDER]
        facts = {row[0]: self.write_file(f"{folder}/{row[0]}", row, place) for row, place in self._in_order(files)}
        links = [(row[0], self.write_link(folder, path, row)) for row in rows if row[1] == _LINK]
        self._note(path, tree, facts, files, folders, links)
        for name, _, _, digest in folders:
            os.mkdir(f"{folder}/{name}")
            self.write(root, f"{path}/{name}" if path else name, digest)

    def write_file(self, path: str, row: TreeRow, place: Place | None = None) -> FileStat:
        """Create one file, which must not be there; returns what the file system says of it."""
        if self._shared is None:
            return self._write_content(path, row, place)
        _, kind, _, digest = row
        self._shared.give(
            digest.hex() + ("x" if kind == _EXECUTABLE else ""),  # a file has one mode under all its names
            path,
            write=lambda target: self._write_content(target, row, place),
            is_good=lambda kept: self._has_content(kept, row),
        )
        return to_stat(os.stat(path))

    def _has_content(self, path: str, row: TreeRow) -> bool:
        """Whether a file has the content of an entry; it is read."""
        with PackWriter(self._source.blobs, knows=lambda digest: True, written=lambda name, index: None) as pack:
            found, digest = FileReader(pack, ContentChunker()).read(path)
        return (found.size, digest) == (row[2], row[3])

    def _write_content(self, path: str, row: TreeRow, place: Place | None) -> FileStat:
        _, kind, size, digest = row
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o777 if kind == _EXECUTABLE else 0o666
        )
        try:
            header, payload = self._source.read_object(digest, self._reader, place)
            if header == BYTES:
                _write_all(descriptor, payload)
            elif header == FILE:
                self._write_chunks(descriptor, decode_parts(payload))
            else:
                raise CorruptDataError(f"object {to_digest(digest)} is a folder where its tree says file")
            found = to_stat(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        if found.size != size:
            raise CorruptDataError(f"object {to_digest(digest)} has another size than its tree says")
        return found

    def write_link(self, folder: str, path: str, row: TreeRow) -> str:
        """Create a link in a folder that lies under `path` of the tree; returns its target.

        Raises:
            InvalidInputError: it leads out of the tree.
        """
        _, payload = self._source.read_object(row[3], self._reader)
        target = os.fsdecode(bytes(payload))
        depth = path.count("/") + 1 if path else 0
        if os.path.isabs(target) or _climbs(target) > depth:
            raise InvalidInputError(f"the link {row[0]!r} leads out of its folder, to {target!r}")
        os.symlink(target, f"{folder}/{row[0]}")
        return target

    def tell(self, cache: StatCache) -> None:
        """Tell a cache what everything that was written looks like; call it when the folder has its place."""
        wait_until_settled(state.newest_ns for _, state in self._written)
        now = time.time_ns()
        sizes: dict[str, int] = {}
        for path, state in reversed(self._written):  # those below come first
            sizes[path] = state.size + sum(sizes[f"{path}/{name}" if path else name] for name in state.folders)
            cache.add(path, structs.replace(state, size=sizes[path], moment_ns=now))

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End its threads."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def _in_order(self, files: list[TreeRow]) -> list[tuple[TreeRow, Place | None]]:
        """Files with their places, in the order in which packs are read from front to back."""
        placed = list(zip(files, self._source.find_places([row[3] for row in files]), strict=True))
        return sorted(placed, key=lambda item: (item[1].pack, item[1].offset) if item[1] else ("", 0))

    def _note(
        self,
        path: str,
        tree: bytes,
        facts: dict[str, FileStat],
        files: list[TreeRow],
        folders: list[TreeRow],
        links: list[tuple[str, str]],
    ) -> None:
        """Remember what was written, and say so."""
        listing = Listing(path, [row[0] for row in files], array("q"), [row[0] for row in folders], links)
        known = [(facts[row[0]], row[3]) for row in files]
        size = sum(row[2] for row in files)
        state = FolderState.of(listing, known, [row[3] for row in folders], tree=tree, size=size, now=0)
        self._written.append((path, state))
        self._files += len(files) + len(links)
        self._size += size
        if self._progress is not None:
            self._progress(self._files, self._size)

    def _write_chunks(self, descriptor: int, parts: list[tuple[bytes, int]]) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "checkout")
        waiting: deque[Future[None]] = deque()
        offset = 0
        try:
            for digest, length in parts:
                waiting.append(self._threads.submit(self._write_chunk, descriptor, offset, digest))
                offset += length
                if len(waiting) == _AHEAD:
                    waiting.popleft().result()
        finally:
            for written in waiting:
                written.result()  # before the file is closed

    def _write_chunk(self, descriptor: int, offset: int, digest: bytes) -> None:
        _, rest = self._source.read_object(digest)
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            offset, rest = offset + written, rest[written:]


def _climbs(target: str) -> int:
    """How far above its own folder a relative path leads at most."""
    depth = highest = 0
    for part in target.split("/"):
        depth += {"..": 1, ".": 0, "": 0}.get(part, -1)
        highest = max(highest, depth)
    return highest


def _write_all(descriptor: int, data: Data) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _move(temporary: Path, target: Path) -> None:
    try:
        os.rename(temporary, target)  # replaces an empty folder, and nothing else
    except OSError:
        check_target(target)  # somebody was faster
        raise
