"""The SQL of artifacts: one query per method, no rules."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, select

from penstock.core.ids import Digest, Ref
from penstock.storage.database import Database
from penstock.storage.references import object_references
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.tables import artifacts
from penstock.tracking.artifacts.types import Artifact, FolderEntry

_BATCH = 1_000  # rows in one query
_held = artifacts.c
_BEHIND_FILE = "\x01"  # no path holds it, so nothing lies between a path and the path with this at its end
_BEHIND_FOLDER = "0"  # what comes after "/"


class ArtifactStore:
    """Reads and writes the rows of artifacts."""

    def __init__(self, db: Database) -> None:
        self._set = db.upsert(artifacts, keys=("home", "path"), update=("digest", "size_bytes", "created_at"))

    def set(self, tx: Transaction, home: str, artifact: Artifact) -> None:
        """Note a file under its path; a later file of the same path takes its place."""
        tx.execute(self._set, [to_row(artifact) | {"home": home}])

    def find(self, tx: Transaction, home: str, path: str) -> Artifact | None:
        """The file under a path."""
        row = tx.execute(select(artifacts).where(_held.home == home, _held.path == path)).one_or_none()
        return None if row is None else from_row(Artifact, row)

    def find_any(self, tx: Transaction, home: str, paths: Iterable[str]) -> str | None:
        """One of the paths under which there is a file."""
        query = select(_held.path).where(_held.home == home, _held.path.in_(list(paths))).limit(1)
        return tx.execute(query).scalar_one_or_none()

    def has_below(self, tx: Transaction, home: str, folder: str) -> bool:
        """Whether there is a file below a folder."""
        query = select(_held.path).where(_held.home == home, *_below(folder)).limit(1)
        return tx.execute(query).first() is not None

    def list_files(self, tx: Transaction, home: str, limit: int, after: str) -> list[Artifact]:
        """Files by path, those behind `after`."""
        query = select(artifacts).where(_held.home == home, _held.path > after)
        return [from_row(Artifact, row) for row in tx.execute(query.order_by(_held.path).limit(limit))]

    def each_below(self, tx: Transaction, home: str, folder: str) -> Iterator[Artifact]:
        """Every file below a folder by its path; the empty folder is the home."""
        query = select(artifacts).where(_held.home == home, *_below(folder)).order_by(_held.path)
        return (from_row(Artifact, row) for row in tx.execute(query))

    def list_folder(self, tx: Transaction, home: str, folder: str, limit: int, after: str) -> list[FolderEntry]:
        """Files and folders one level down, in the order of their keys (a folder's ends with `/`), behind `after`.

        From a folder the search jumps behind all that lies in it, so that its size makes no difference.
        """
        prefix = f"{folder}/" if folder else ""
        start = _behind(prefix + after) if after else prefix
        entries: list[FolderEntry] = []
        batch = _BATCH
        while len(entries) < limit:
            wanted = min(batch, limit - len(entries))
            query = select(artifacts).where(_held.home == home, *_below(folder), _held.path >= start)
            rows = tx.execute(query.order_by(_held.path).limit(wanted)).all()
            for row in rows:
                name, slash, _ = row.path[len(prefix) :].partition("/")
                start = _behind(prefix + name + slash)
                entries.append(_to_entry(name, row, is_folder=bool(slash)))
                if slash:
                    batch = max(1, batch // 8)  # the other rows may well be its own
                    break
            else:
                if len(rows) < wanted:
                    break
                batch = min(_BATCH, batch * 8)
        return entries

    def delete_below(self, tx: Transaction, home: str, path: str) -> tuple[int, int]:
        """Remove the file under a path or all files below it (all of the home: empty); how many, and their bytes."""
        chosen: list[ColumnElement[bool]] = [_held.home == home]
        if path:
            low, high = _below(path)
            chosen.append((_held.path == path) | (low & high))
        count, size = func.count(_held.path).label("files"), func.sum(_held.size_bytes).label("size")
        found = tx.execute(select(count, size).where(*chosen)).one()
        if found.files:
            tx.execute(delete(artifacts).where(*chosen))
        return found.files, int(found.size or 0)

    def drop_unneeded(self, tx: Transaction, owner: Ref, home: str, digest: Digest | None = None) -> None:
        """Remove the owner's references to objects that no file of the home has any more: to all such, or to one."""
        held = object_references
        needed = exists().where(_held.home == home, _held.digest == held.c.digest)
        query = delete(held).where(held.c.owner == str(owner), ~needed)
        tx.execute(query if digest is None else query.where(held.c.digest == digest))


def _below(folder: str) -> Sequence[ColumnElement[bool]]:
    """The range of paths below a folder."""
    if not folder:
        return ()
    return (_held.path >= f"{folder}/", _held.path < folder + _BEHIND_FOLDER)


def _behind(key: str) -> str:
    """Where the search goes on after a file, or after all that is in a folder."""
    return key[:-1] + _BEHIND_FOLDER if key.endswith("/") else key + _BEHIND_FILE


def _to_entry(name: str, row: Row[Any], *, is_folder: bool) -> FolderEntry:
    if is_folder:
        return FolderEntry(name=name, is_folder=True)
    return FolderEntry(name=name, is_folder=False, size_bytes=row.size_bytes, digest=row.digest)
