"""Two versions of `penstock.data` that grew apart become one: path by path, and file by file within a folder."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from msgspec import Struct, structs

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.datasets.workspace.pointers import Pointer, format_pointer, format_pointers
from penstock.storage.objects.folders.comparing import FOLDER
from penstock.storage.objects.format import TREE, TreeRow, decode_rows, encode_tree, parse_digest, to_digest
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.pack_writer import PackWriter

T = TypeVar("T")


class Merged(Struct, frozen=True):
    """What became of two versions."""

    text: str  # of the file; with marks where somebody has to decide
    conflicts: tuple[str, ...]  # paths, and within folders the files, that both changed


def merge_pointers(
    objects: ObjectStore,
    base: Mapping[str, Pointer],
    ours: Mapping[str, Pointer],
    theirs: Mapping[str, Pointer],
) -> Merged:
    """Merge three versions of the file.

    A path that one side changed is as that side has it. Of a folder that both changed, each file is; the merged folder
    is kept as a tree of its own. What both sides changed in different ways is a conflict.

    Args:
        objects: has the trees.
        base: what both come from.
        ours: the version that the other is merged into.
        theirs: the other.
    """
    lines: list[str] = []
    conflicts: list[str] = []
    with objects.open_pack() as pack:
        merger = _Merger(objects, pack)

        def merge(path: str, was: Pointer | None, our: Pointer | None, their: Pointer | None) -> Pointer | None:
            found, problems = merger.merge(path, was, our, their)
            if problems:
                conflicts.extend(problems)
                lines.extend(_mark(our, their))
            return None if problems else found

        merged = list(_merge_by_name(base, ours, theirs, merge))
    return Merged(format_pointers(merged) + "".join(lines), tuple(conflicts))


def _merge_by_name(
    base: Mapping[str, T],
    ours: Mapping[str, T],
    theirs: Mapping[str, T],
    merge: Callable[[str, T | None, T | None, T | None], T | None],
) -> Iterator[T]:
    """Three versions of things with names become one.

    Args:
        base: what both come from.
        ours: what one side made of it.
        theirs: what the other side did.
        merge: decides on a name that both changed in different ways, from the three in this order; None: nothing.
    """
    for name in sorted(base.keys() | ours.keys() | theirs.keys()):
        was, our, their = base.get(name), ours.get(name), theirs.get(name)
        if our == their or their == was:
            found = our
        elif our == was:
            found = their
        else:
            found = merge(name, was, our, their)
        if found is not None:
            yield found


class _Merger:
    def __init__(self, objects: ObjectStore, pack: PackWriter) -> None:
        self._objects = objects
        self._pack = pack

    def merge(
        self, path: str, was: Pointer | None, our: Pointer | None, their: Pointer | None
    ) -> tuple[Pointer | None, list[str]]:
        """The pointer of a path that both sides changed, or what stands in the way."""
        if our is None or their is None or (our.kind, their.kind) != ("folder", "folder"):
            return None, [path]
        before = parse_digest(was.tree) if was is not None and was.kind == "folder" else None
        conflicts: list[str] = []
        try:
            digest, size = self._merge_trees(path, before, parse_digest(our.tree), parse_digest(their.tree), conflicts)
            self._pack.flush()
            files = sum(1 for _ in self._objects.list_files(to_digest(digest)))
        except (NotFoundError, CorruptDataError):
            return None, [path]  # not all of it is here
        return structs.replace(our, tree=to_digest(digest), files=files, size=size), conflicts

    def _merge_trees(
        self, path: str, before: bytes | None, ours: bytes, theirs: bytes, conflicts: list[str]
    ) -> tuple[bytes, int]:
        def merge(name: str, old: TreeRow | None, one: TreeRow | None, other: TreeRow | None) -> TreeRow | None:
            return self._merge_rows(f"{path}/{name}", old, one, other, conflicts)

        was, our, their = (self._rows(digest) for digest in (before, ours, theirs))
        merged = list(_merge_by_name(was, our, their, merge))
        return self._pack.add(TREE, encode_tree(merged)), sum(row[2] for row in merged)

    def _merge_rows(
        self, path: str, old: TreeRow | None, one: TreeRow | None, other: TreeRow | None, conflicts: list[str]
    ) -> TreeRow | None:
        if one is None or other is None or (one[1], other[1]) != (FOLDER, FOLDER):
            conflicts.append(path)
            return one
        before = old[3] if old is not None and old[1] == FOLDER else None
        digest, size = self._merge_trees(path, before, one[3], other[3], conflicts)
        return one[0], FOLDER, size, digest

    def _rows(self, digest: bytes | None) -> dict[str, TreeRow]:
        if digest is None:
            return {}
        _, payload = self._objects.read_object(digest)
        return {row[0]: row for row in decode_rows(payload)}


def _mark(ours: Pointer | None, theirs: Pointer | None) -> list[str]:
    """A path that somebody has to decide, as Git marks such lines."""
    lines = ["<<<<<<< ours", "=======", ">>>>>>> theirs"]
    if theirs is not None:
        lines.insert(2, format_pointer(theirs))
    if ours is not None:
        lines.insert(1, format_pointer(ours))
    return [f"{line}\n" for line in lines]
