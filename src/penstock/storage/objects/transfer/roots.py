"""What a shared store keeps for whom: each database that pushes leaves a list of its roots there, beside the objects.

`roots/DATABASE.TIME` is a list of one database, as JSON; two pushes at the same time leave two. Whoever collects the
store keeps what any of them leads to.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, structs

from penstock.core import codec
from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref, new_id
from penstock.storage.objects.blob_store import BlobStore

FOLDER = "roots/"


class Root(Struct, frozen=True):
    """Something that was pushed."""

    owner: Ref
    digest: Digest
    push: int  # its place in the list of pushes


class Push(Struct, frozen=True):
    """One push: which packs of the store held what it needed. They may have been rewritten since."""

    at: datetime  # UTC
    packs: tuple[str, ...]  # in order of their names


class RootList(Struct, frozen=True):
    """The roots of one database."""

    database: str
    pushes: tuple[Push, ...] = ()
    roots: tuple[Root, ...] = ()

    def with_push(self, push: Push, roots: Iterable[tuple[Ref, Digest]]) -> "RootList":
        """The list after a push; what is named for the second time is there once."""
        fresh = {item: len(self.pushes) for item in roots}
        return RootList(self.database, (*self.pushes, push), _to_roots(self._numbers() | fresh))._tidy()

    def merged(self, other: "RootList") -> "RootList":
        """What this list or another one of the same database names."""
        moved = {item: number + len(self.pushes) for item, number in other._numbers().items()}
        return RootList(self.database, self.pushes + other.pushes, _to_roots(self._numbers() | moved))

    def keep_only(self, known: Iterable[tuple[Ref, Digest]]) -> "RootList":
        """The list without what its database does not refer to any more."""
        wanted = set(known)
        return structs.replace(self, roots=tuple(r for r in self.roots if (r.owner, r.digest) in wanted))._tidy()

    def hints_for(self, digests: Iterable[Digest]) -> set[str]:
        """The packs that held what these roots need."""
        wanted = set(digests)
        return {pack for root in self.roots if root.digest in wanted for pack in self.pushes[root.push].packs}

    def _tidy(self) -> "RootList":
        used = sorted({root.push for root in self.roots})
        places = {old: new for new, old in enumerate(used)}
        roots = {item: places[number] for item, number in self._numbers().items()}
        return RootList(self.database, tuple(self.pushes[number] for number in used), _to_roots(roots))

    def _numbers(self) -> dict[tuple[Ref, Digest], int]:
        return {(root.owner, root.digest): root.push for root in self.roots}


def read_roots(blobs: BlobStore, database: str = "") -> dict[str, RootList]:
    """The lists in a store, by their keys: those of one database, or of all.

    Raises:
        CorruptDataError: one of them cannot be read.
    """
    keys = list(blobs.list_keys(f"{FOLDER}{database}." if database else FOLDER))
    try:
        return {key: _read(blobs, key) for key in keys}
    except NotFoundError:  # replaced since the listing
        return read_roots(blobs, database)


def add_roots(
    blobs: BlobStore,
    database: str,
    push: Push,
    roots: Iterable[tuple[Ref, Digest]],
    known: Iterable[tuple[Ref, Digest]],
) -> None:
    """Note what a database has pushed, and forget what it refers to no more.

    Args:
        blobs: the store that was pushed to.
        database: whose list it is.
        push: what is known of the push.
        roots: what was pushed.
        known: everything that the database refers to now.
    """
    before = read_roots(blobs, database)
    merged = RootList(database)
    for each in before.values():
        merged = merged.merged(each)
    merged = merged.with_push(push, roots).keep_only(known)
    if list(before.values()) == [merged]:
        return
    blobs.put_if_absent(f"{FOLDER}{database}.{new_id()}", codec.encode(merged))
    for key in before:
        blobs.delete(key)


def _to_roots(numbers: dict[tuple[Ref, Digest], int]) -> tuple[Root, ...]:
    return tuple(Root(owner, digest, push) for (owner, digest), push in sorted(numbers.items()))


def _read(blobs: BlobStore, key: str) -> RootList:
    try:
        return codec.decode(blobs.get(key), RootList)
    except InvalidInputError as error:
        raise CorruptDataError(f"the list {key} is damaged: {error.message}") from error
