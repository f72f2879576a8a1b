"""What differs between two trees, whether they are kept or lie in a folder."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from penstock.storage.objects.folders.reading import kind_of
from penstock.storage.objects.folders.scanning import WIDTH, FileStat
from penstock.storage.objects.folders.stat_cache import FolderState, StatCache
from penstock.storage.objects.format import BYTES, DIGEST_SIZE, KINDS, EntryKind, TreeRow, digest_of

FOLDER, LINK = KINDS.index(EntryKind.FOLDER), KINDS.index(EntryKind.LINK)
Look = Callable[[str, bytes], list[TreeRow]]  # gives the entries of a folder by its path and digest


class Difference(NamedTuple):
    """An entry that is not on both sides what it is on one."""

    path: str
    before: TreeRow | None
    after: TreeRow | None


def compare(before: Look, after: Look, old: bytes | None, new: bytes | None, path: str = "") -> Iterator[Difference]:
    """Every file, link and folder that differs, each after the folder it stands in.

    A folder that is on both sides is not named itself; what is in it is.

    Args:
        before: looks into the folders of one side.
        after: looks into those of the other.
        old: the digest of the folder on the one side; None where there is none.
        new: the same on the other.
        path: of the folder.
    """
    if old == new:
        return
    here = {row[0]: row for row in before(path, old)} if old is not None else {}
    there = {row[0]: row for row in after(path, new)} if new is not None else {}
    for name in sorted(here.keys() | there.keys()):
        was, becomes = here.get(name), there.get(name)
        if was is not None and becomes is not None and was[1:] == becomes[1:]:
            continue
        below = f"{path}/{name}" if path else name
        folders = [row[3] if row is not None and row[1] == FOLDER else None for row in (was, becomes)]
        if None in folders:
            yield Difference(below, was, becomes)
        yield from compare(before, after, folders[0], folders[1], below)


def look_into(found: StatCache) -> Look:
    """Looks into a folder as it was last seen."""

    def look(path: str, digest: bytes) -> list[TreeRow]:
        state = found.find(path)
        return [] if state is None else rows_of(state, found, path)

    return look


def rows_of(state: FolderState, found: StatCache, path: str) -> list[TreeRow]:
    """The entries of a folder as it was last seen."""
    numbers = memoryview(state.stats).cast("q")
    rows: list[TreeRow] = []
    for place, name in enumerate(state.names):
        seen = FileStat(*numbers[place * WIDTH : (place + 1) * WIDTH])
        rows.append((name, kind_of(seen), seen.size, state.digests[place * DIGEST_SIZE : (place + 1) * DIGEST_SIZE]))
    for place, name in enumerate(state.folders):
        below = found.find(f"{path}/{name}" if path else name)
        digest = state.folder_digests[place * DIGEST_SIZE : (place + 1) * DIGEST_SIZE]
        rows.append((name, FOLDER, below.size if below is not None else 0, digest))
    for name, target in state.links:
        content = target.encode(errors="surrogateescape")
        rows.append((name, LINK, len(content), digest_of(BYTES, content)))
    return rows
