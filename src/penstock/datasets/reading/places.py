"""Paths of a version: what lies under one, and where its links lead."""

import posixpath
from collections.abc import Iterator

from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.storage.objects.stored import StoredObjects

_LONGEST_CHAIN = 40  # of links, as Linux has it
_HELD = 64  # folders that are remembered


class VersionTree:
    """A tree of the object store by its paths; safe to use from several threads.

    Args:
        objects: has the tree.
        tree: its digest.
    """

    def __init__(self, objects: StoredObjects, tree: Digest) -> None:
        self._objects = objects
        self._root = TreeEntry("", EntryKind.FOLDER, 0, tree)
        self._folders: dict[Digest, dict[str, TreeEntry]] = {}

    def find(self, path: str) -> TreeEntry:
        """The file or folder under a path, links followed; empty: the root.

        Raises:
            NotFoundError: there is none, or a link leads out of the tree or back to itself.
        """
        place = path
        for _ in range(_LONGEST_CHAIN):
            entry, place = self._step(path, place)
            if entry is not None:
                return entry
        raise NotFoundError(f"the link {path!r} leads back to itself")

    def list_folder(self, path: str) -> Iterator[TreeEntry]:
        """What is in a folder; a link is what it leads to, and left out where that is nothing."""
        for entry in self._entries(self.find(path)).values():
            if entry.kind is not EntryKind.LINK:
                yield entry
                continue
            try:
                found = self.find(f"{path}/{entry.name}" if path else entry.name)
            except NotFoundError:
                continue
            yield TreeEntry(entry.name, found.kind, found.size, found.digest)

    def _step(self, path: str, place: str) -> tuple[TreeEntry | None, str]:
        """What is under a place, or the place that a link on the way leads to."""
        entry = self._root
        names = place.split("/") if place else []
        for number, name in enumerate(names):
            below = self._entries(entry).get(name) if entry.kind is EntryKind.FOLDER else None
            if below is None:
                raise NotFoundError(f"there is no file {path!r}")
            if below.kind is EntryKind.LINK:
                leads_to = self._objects.get_bytes(below.digest).decode("utf-8", "surrogateescape")
                return None, posixpath.normpath(posixpath.join(*names[:number], leads_to, *names[number + 1 :]))
            entry = below
        return entry, place

    def _entries(self, folder: TreeEntry) -> dict[str, TreeEntry]:
        held = self._folders.get(folder.digest)
        if held is None:
            held = {entry.name: entry for entry in self._objects.get_tree(folder.digest).entries}
            if len(self._folders) >= _HELD:
                self._folders = {}
            self._folders[folder.digest] = held
        return held
