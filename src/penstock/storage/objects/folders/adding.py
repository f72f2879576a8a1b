"""A folder becomes a tree: every file that is not known to be unchanged is read into packs."""

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeAlias

from msgspec import Struct, structs

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.folders.readers import Batch, Readers
from penstock.storage.objects.folders.reading import FileFacts, FileReader, kind_of
from penstock.storage.objects.folders.scanning import Listing, Rules, scan, scan_file
from penstock.storage.objects.folders.stat_cache import FolderState, StatCache
from penstock.storage.objects.format import (
    BYTES,
    KINDS,
    TREE,
    EntryKind,
    TreeEntry,
    TreeRow,
    check_entry_name,
    encode_tree,
    to_row,
)
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.pack_writer import PackWriter

BATCH_FILES = 256
BATCH_BYTES = 16 << 20
_AHEAD = 50_000  # files that are asked for before the folders they are in are done
_FOLDER, _LINK = KINDS.index(EntryKind.FOLDER), KINDS.index(EntryKind.LINK)

FilePlan: TypeAlias = Path | TreeEntry  # a file to read, or one that is kept already
FolderPlan: TypeAlias = "dict[str, FilePlan | FolderPlan]"
Progress = Callable[[int, int], object]  # files and bytes so far


class Added(Struct, frozen=True):
    """A folder that is kept."""

    digest: bytes
    files: int
    size: int  # bytes
    read: int  # files that were read, as they are new or may have changed


class Known(Protocol):
    """What folders looked like."""

    def find(self, path: str) -> FolderState | None:
        """A folder as it was; None when it has to be kept anew."""
        ...


class TreeAdder:
    """Adds folders; for one thread.

    Args:
        pack: where trees and links go.
        readers: who reads files.
        rules: what a folder may hold.
        progress: told how far it is, now and then.
    """

    def __init__(self, pack: PackWriter, readers: Readers, rules: Rules, progress: Progress | None = None) -> None:
        self._pack = pack
        self._readers = readers
        self._rules = rules
        self._progress = progress
        self._done: dict[str, tuple[bytes, int]] = {}  # folders whose parent is not done: digest and size
        self._files = self._size = self._read = 0
        self._moment_ns = time.time_ns()

    def add(
        self,
        root: Path,
        known: Known,
        found: StatCache,
        only: str = "",
        fresh: Mapping[str, FileFacts] = MappingProxyType({}),
        meanwhile: Callable[[], object] | None = None,
    ) -> Added:
        """Add a folder with all that is in it.

        Args:
            root: the folder.
            only: the name of a file in it, to add that as if there were no others.
            known: what files looked like when they were read before; those that still do are not read again.
            found: is told what they look like now.
            fresh: files that were written a moment ago, by their paths: those that still look so are not read either.
            meanwhile: called once, when this process may do something else while others read.

        Raises:
            NotFoundError, InvalidInputError: see `scan`.
            ConflictError: somebody changed a file meanwhile.
        """
        waiting: deque[_Pending] = deque()
        ahead = 0
        listings = scan_file(str(root), only, self._rules) if only else scan(str(root), self._rules)
        for listing in listings:
            pending = self._ask(str(root), listing, known.find(listing.path), fresh)
            waiting.append(pending)
            ahead += pending.files
            while ahead > _AHEAD:
                self._readers.finish()
                ahead -= waiting[0].files
                self._finish(waiting.popleft(), found)
        if meanwhile is not None:
            meanwhile()
        self._readers.finish()
        while waiting:
            self._finish(waiting.popleft(), found)
        digest, size = self._done.pop("")
        return Added(digest, self._files, size, self._read)

    def _ask(
        self, root: str, listing: Listing, known: FolderState | None, fresh: Mapping[str, FileFacts]
    ) -> "_Pending":
        pending = _Pending(listing, known, fresh)
        if pending.has_same_files:
            return pending
        listing.check_names(root, self._rules)
        folder = f"{root}/{listing.path}" if listing.path else root
        batch: list[int] = []
        size = 0
        for place in pending.unknown():
            batch.append(place)
            size += listing.size(place)
            if len(batch) == BATCH_FILES or size >= BATCH_BYTES:
                pending.read(self._readers, folder, batch, size)
                batch, size = [], 0
        if batch:
            pending.read(self._readers, folder, batch, size)
        return pending

    def _finish(self, pending: "_Pending", found: StatCache) -> None:
        """Make the tree of a folder whose files are asked for, and whose folders are done."""
        listing = pending.listing
        below = [self._done.pop(f"{listing.path}/{name}" if listing.path else name) for name in listing.folders]
        state = pending.same(below) or self._make(pending, below)
        self._done[listing.path] = state.tree, state.size
        found.add(listing.path, state)
        self._files += len(listing.files) + len(listing.links)
        self._size += state.size - sum(size for _, size in below)
        self._read += pending.files
        if self._progress is not None:
            self._progress(self._files, self._size)

    def _make(self, pending: "_Pending", below: list[tuple[bytes, int]]) -> FolderState:
        listing, facts = pending.listing, pending.result()
        rows: list[TreeRow] = [
            (name, kind_of(found), found.size, digest)
            for name, (found, digest) in zip(listing.files, facts, strict=True)
        ]
        rows += [(name, _FOLDER, size, digest) for name, (digest, size) in zip(listing.folders, below, strict=True)]
        for name, target in listing.links:
            content = os.fsencode(target)
            rows.append((name, _LINK, len(content), self._pack.add(BYTES, content)))
        return FolderState.of(
            listing,
            facts,
            [digest for digest, _ in below],
            tree=self._pack.add(TREE, encode_tree(rows)),
            size=sum(row[2] for row in rows),
            now=self._moment_ns,
        )


def look_at(
    folder: Path,
    rules: Rules,
    known: StatCache,
    found: StatCache,
    only: str = "",
    fresh: Mapping[str, FileFacts] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Added:
    """What `TreeAdder.add` would answer, and nothing is kept."""
    pack = PackWriter(LocalBlobStore(folder), knows=lambda digest: True, written=lambda name, index: None)
    with pack, Readers(FileReader(pack, ContentChunker()), lambda name, index: None, None) as readers:
        return TreeAdder(pack, readers, rules, progress).add(folder, known, found, only, fresh)


class _Pending:
    """A folder whose files are being read, as far as they are not what they were."""

    def __init__(self, listing: Listing, known: FolderState | None, fresh: Mapping[str, FileFacts]) -> None:
        self.listing = listing
        self.files = 0  # that are read
        self.has_same_files = known is not None and known.is_unchanged(listing)
        self._known = known
        self._fresh = fresh
        self._facts: list[FileFacts | None] | None = None
        self._asked: list[tuple[list[int], Batch]] = []

    def unknown(self) -> list[int]:
        """The places of the files that have to be read."""
        return [place for place, fact in enumerate(self._recall()) if fact is None]

    def read(self, readers: Readers, folder: str, places: list[int], size: int) -> None:
        names = self.listing.files
        self._asked.append((places, readers.read(folder, [names[place] for place in places], size)))
        self.files += len(places)

    def result(self) -> list[FileFacts]:
        facts = self._recall()
        for places, batch in self._asked:
            for place, fact in zip(places, batch.facts.result(), strict=True):
                facts[place] = fact
        return facts  # type: ignore[return-value]  # all of them are there now

    def same(self, below: list[tuple[bytes, int]]) -> FolderState | None:
        """What the folder was, when it is that still."""
        if self._known is None or not self.has_same_files:
            return None
        return self._known if self._known.has_same_folders(self.listing, [digest for digest, _ in below]) else None

    def _recall(self) -> list[FileFacts | None]:
        if self._facts is None:
            known, files = self._known, self.listing.files
            self._facts = known.unchanged(self.listing) if known else [None] * len(files)
            if self._fresh:
                self._facts = [self._recall_fresh(place, fact) for place, fact in enumerate(self._facts)]
        return self._facts

    def _recall_fresh(self, place: int, fact: FileFacts | None) -> FileFacts | None:
        if fact is None:
            path, name = self.listing.path, self.listing.files[place]
            fact = self._fresh.get(f"{path}/{name}" if path else name)
        return fact if fact is not None and fact[0] == self.listing.stat(place) else None


def plan_files(files: Mapping[str, FilePlan]) -> FolderPlan:
    """Files under the paths they shall have in the tree.

    Raises:
        InvalidInputError: a path is unusable, or a file where another needs a folder.
    """
    plan: FolderPlan = {}
    for place, path in files.items():
        *folders, name = [check_entry_name(part) for part in place.split("/")]
        level = plan
        for folder in folders:
            below = level.setdefault(folder, {})
            if not isinstance(below, dict):
                raise InvalidInputError(f"{folder!r} of {place!r} is a file and a folder")
            level = below
        if name in level:
            raise InvalidInputError(f"{place!r} is there twice")
        level[name] = path
    return plan


def add_plan(pack: PackWriter, reader: FileReader, plan: FolderPlan) -> tuple[bytes, int]:
    """Add planned files as a tree; returns its digest and size in bytes."""
    rows: list[TreeRow] = []
    for name, item in plan.items():
        if isinstance(item, dict):
            digest, size = add_plan(pack, reader, item)
            rows.append((name, _FOLDER, size, digest))
        elif isinstance(item, Path):
            found, digest = reader.read(str(item))
            rows.append((name, kind_of(found), found.size, digest))
        else:
            rows.append(to_row(structs.replace(item, name=name)))
    return pack.add(TREE, encode_tree(rows)), sum(row[2] for row in rows)
