"""`penstock://NAME@VERSION/path`: versions of datasets as a file system of fsspec, to be read only.

fsspec imports this file when the first such URL is opened; the extra `fsspec` installs it.
"""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from fsspec.spec import AbstractFileSystem

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.datasets.reading.reader import DatasetReader
from penstock.sdk.connect import connect
from penstock.sdk.dataset import default_target, open_reader
from penstock.storage.objects.format import EntryKind, TreeEntry

_PAGE = 1_000  # datasets at a time


class PenstockFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Versions of datasets as folders; `NAME` alone is the newest version at the moment it is asked for.

    The root lists the datasets there are. What is not there raises FileNotFoundError, and what would write raises
    OSError. Files are read by range where they are kept; a link is what it leads to.

    Args:
        target: a server's URL or a folder, as for `penstock.connect`; None: where `penstock.dataset` looks.
        token: for a server that asks for one.
        options: of fsspec.
    """

    protocol: ClassVar = "penstock"

    def __init__(self, target: str | None = None, token: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._target = target
        self._token = token
        self._readers: dict[tuple[str | None, str], DatasetReader] = {}  # of numbered versions: these never change

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """What is in a folder, as `info` tells it; of a file, that one."""
        place = self._strip_protocol(path)
        with _explained(place):
            found = list(self._list(place) if place else self._list_datasets())
        return found if detail else [each["name"] for each in found]

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Name, type, size in bytes and digest of a file or folder, and when its version was made."""
        place = self._strip_protocol(path)
        if not place:
            return {"name": "", "type": "directory", "size": 0}
        with _explained(place):
            reader, below = self._locate(place)
            return _to_info(place, reader.tree.find(below), reader)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """The bytes of a file from `start` up to `end`; negative places count from its end."""
        place = self._strip_protocol(path)
        with _explained(place):
            reader, below = self._locate(place)
            first, last, _ = slice(start, end).indices(reader.find_file(below).size)
            return reader.read_range(below, first, max(0, last - first))

    def created(self, path: str) -> datetime:
        """When the version was made."""
        found: datetime = self.info(path)["created"]
        return found

    def modified(self, path: str) -> datetime:
        """When the version was made."""
        return self.created(path)

    def checksum(self, path: str) -> int:
        """A number that is another one when the content is."""
        return int(self.info(path)["digest"], 16)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> io.IOBase:
        if mode != "rb":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        with _explained(path):
            reader, below = self._locate(path)
            return reader.open(below)  # type: ignore[return-value]  # a stream of the object store is one of io's

    def _list_datasets(self) -> Iterator[dict[str, Any]]:
        services = connect(self._place(), token=self._token)
        try:
            page = services.datasets.list_datasets(_PAGE)
            while page:
                yield from ({"name": each.name, "type": "directory", "size": 0} for each in page)
                page = services.datasets.list_datasets(_PAGE, page[-1].name)
        finally:
            services.close()

    def _list(self, place: str) -> Iterator[dict[str, Any]]:
        reader, below = self._locate(place)
        found = reader.tree.find(below)
        if found.kind is not EntryKind.FOLDER:
            yield _to_info(place, found, reader)
            return
        for entry in reader.tree.list_folder(below):
            yield _to_info(f"{place}/{entry.name}", entry, reader)

    def _locate(self, place: str) -> tuple[DatasetReader, str]:
        """The version that a path begins with, and the rest of the path."""
        name, _, below = place.partition("/")
        target = self._place()
        reader = self._readers.get((target, name)) or open_reader(name, target, self._token)
        if "@" in name:
            self._readers[target, name] = reader
        return reader, below

    def _place(self) -> str | None:
        return self._target or default_target()


def _to_info(place: str, entry: TreeEntry, reader: DatasetReader) -> dict[str, Any]:
    is_folder = entry.kind is EntryKind.FOLDER
    return {
        "name": place,
        "type": "directory" if is_folder else "file",
        "size": 0 if is_folder else entry.size,
        "digest": entry.digest,
        "created": reader.version.created_at,
    }


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """What is not there, as everything that uses fsspec expects it."""
    try:
        yield
    except (NotFoundError, InvalidInputError) as error:
        raise FileNotFoundError(errno.ENOENT, str(error), place) from error
