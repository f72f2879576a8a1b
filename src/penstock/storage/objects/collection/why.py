"""Why an object is kept: the ways from what refers to something down to it."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from msgspec import Struct

from penstock.core.errors import CorruptDataError, NotFoundError, PenstockError
from penstock.core.ids import Digest, Ref
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import (
    FILE,
    HEADER_SIZE,
    TREE,
    decode_parts,
    decode_rows,
    parse_digest,
    to_digest,
)
from penstock.storage.objects.guarding.condemned import read_condemned
from penstock.storage.objects.reach import Walker
from penstock.storage.objects.store_view import IN_FLIGHT, Location, StoreView
from penstock.storage.objects.transfer.roots import read_roots

_GAP = 64 << 10  # bytes
_CHAINS = 20  # that are shown


class Step(Struct, frozen=True):
    """One object on the way, and what it is to the one before it."""

    name: str  # of the entry, or the bytes of the file; empty for the first one
    digest: Digest


class Chain(Struct, frozen=True):
    """One way from a reference down to an object."""

    owner: Ref
    steps: tuple[Step, ...]  # the first is what the owner refers to, the last the object

    @property
    def path(self) -> str:
        """Where the object is below what the owner refers to."""
        return "/".join(step.name for step in self.steps[1:])


class Explanation(Struct, frozen=True):
    """Why an object is kept, or since when it is condemned."""

    digest: Digest
    stored: bool
    chains: tuple[Chain, ...]  # one for each owner; the first ones, where there are many
    owners: int  # who lead to it
    condemned_since: datetime | None  # when no copy of it may be relied on
    problems: tuple[str, ...]  # what could not be read on the way


def explain_object(blobs: BlobStore, references: Iterable[tuple[Ref, Digest]], digest: Digest) -> Explanation:
    """Why an object is kept.

    Args:
        blobs: the store.
        references: everything that needs an object.
        digest: of the object.

    Raises:
        NotFoundError: it is neither stored nor needed.
    """
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        view = StoreView(blobs, pool, gap=_GAP)
        view.load()
        return _Search(view, parse_digest(digest)).run(sorted({*references, *_pushed(blobs)}))


def _pushed(blobs: BlobStore) -> Iterator[tuple[Ref, Digest]]:
    for roots in read_roots(blobs).values():
        yield from ((root.owner, root.digest) for root in roots.roots)


class _Search:
    def __init__(self, view: StoreView, target: bytes) -> None:
        self._view = view
        self._target = target
        self._parents: dict[bytes, tuple[bytes, str]] = {}  # of what leads to the target: the next one, and its name
        self._problems: list[str] = []

    def run(self, references: list[tuple[Ref, Digest]]) -> Explanation:
        roots = {parse_digest(digest) for _, digest in references}
        leading = self._find_leading(roots)
        chains = [
            Chain(owner, tuple(self._way(parse_digest(digest))))
            for owner, digest in references
            if parse_digest(digest) in leading
        ]
        stored = self._view.locate(self._target) is not None
        if not stored and not chains:
            raise NotFoundError(f"there is no object {self._target.hex()}, and nothing needs one")
        shown = {chain.owner: chain for chain in reversed(chains)}
        return Explanation(
            to_digest(self._target),
            stored,
            tuple(sorted(shown.values(), key=lambda chain: chain.owner)[:_CHAINS]),
            len(shown),
            self._condemned_since() if stored else None,
            tuple(self._problems),
        )

    def _find_leading(self, roots: set[bytes]) -> set[bytes]:
        """What leads to the target, itself included; a child is judged before what it is a child of."""
        reached = Walker(self._view).walk(roots)
        self._problems += [each.error.message for each in reached.unreadable]
        leading = {self._target}
        inner = [digest for digest in reversed(reached.digests) if digest in reached.inner]
        changed = True
        while changed:  # once or twice: what is met first stands mostly above what is met later
            before = len(leading)
            for digest, children in self._read_children(inner):
                if digest in leading:
                    continue
                found = next(((child, name) for child, name in children if child in leading), None)
                if found is not None:
                    leading.add(digest)
                    self._parents[digest] = found
            changed = len(leading) > before
        return leading

    def _read_children(self, digests: list[bytes]) -> Iterator[tuple[bytes, list[tuple[bytes, str]]]]:
        located = [(digest, self._view.locate(digest)) for digest in digests]
        wanted: list[tuple[bytes, Location]] = [(d, place) for d, place in located if place is not None]
        read = {digest: stored for digest, stored in self._view.read(wanted) if not isinstance(stored, PenstockError)}
        for digest in digests:
            if digest in read:
                yield digest, list(_named_children(read[digest]))

    def _way(self, digest: bytes) -> Iterator[Step]:
        name = ""
        while digest != self._target:
            yield Step(name, to_digest(digest))
            digest, name = self._parents[digest]
        yield Step(name, to_digest(digest))

    def _condemned_since(self) -> datetime | None:
        """Since when the last of its copies is condemned; None while one is not."""
        state = read_condemned(self._view.blobs)
        found = [state.since(name, self._target) for name in self._view.indexes if self._stands_in(name)]
        if self._target in self._view.loose:
            found.append(state.loose.get(self._target))
        moments = [since for since in found if since is not None]
        return max(moments) if moments and len(moments) == len(found) else None

    def _stands_in(self, name: str) -> bool:
        return any(digest == self._target for digest, _ in self._view.objects_of(name))


def _named_children(stored: Data) -> Iterator[tuple[bytes, str]]:
    view = memoryview(stored)
    header, payload = bytes(view[:HEADER_SIZE]), view[HEADER_SIZE:]
    try:
        if header == TREE:
            yield from ((digest, name) for name, _, _, digest in decode_rows(payload))
        elif header == FILE:
            start = 0
            for digest, length in decode_parts(payload):
                yield digest, f"bytes {start:,} to {start + length:,}"
                start += length
    except CorruptDataError:
        return  # it was named as unreadable before
