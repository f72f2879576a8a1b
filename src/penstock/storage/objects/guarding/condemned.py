"""What is condemned in a store: places of objects that nothing led to, each since when.

`condemned/NUMBER` is the whole state as MessagePack; the highest number counts. Only the collector writes it. A place
is a loose object, or an object in a pack; a copy that is written later stands elsewhere and is not condemned. Whoever
keeps objects relies on no condemned place, and writes the object anew.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from penstock.core.errors import CorruptDataError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.format import DIGEST_SIZE

FOLDER = "condemned/"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Condemned:
    """Condemned places.

    Attributes:
        packs: names of packs of which nothing is needed, or that have no index.
        objects: by the name of a pack of which something is needed, the digests of what is not.
        loose: digests of objects that stand alone.
        number: of the state in the store; 0 where nothing was ever condemned.
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.packs: dict[str, datetime] = {}
        self.objects: dict[str, dict[bytes, datetime]] = {}
        self.loose: dict[bytes, datetime] = {}

    def since(self, pack: str, digest: bytes) -> datetime | None:
        """Since when an object in a pack is condemned; None when it is not."""
        return self.packs.get(pack) or self.objects.get(pack, {}).get(digest)

    def places(self) -> Iterator[tuple[str, bytes, datetime]]:
        """Each place: pack and digest; a whole pack has no digest, a loose object no pack."""
        for pack, since in self.packs.items():
            yield pack, b"", since
        for pack, objects in self.objects.items():
            for digest, since in objects.items():
                yield pack, digest, since
        for digest, since in self.loose.items():
            yield "", digest, since

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Condemned):
            return NotImplemented
        return (self.packs, self.objects, self.loose) == (other.packs, other.objects, other.loose)

    __hash__ = None  # type: ignore[assignment]  # it changes


class _Batch(Struct, array_like=True):
    """What was condemned at one moment; digests stand one after the other."""

    since_us: int
    packs: list[str]
    objects: dict[str, bytes]
    loose: bytes


def read_condemned(blobs: BlobStore) -> Condemned:
    """The state of a store.

    Raises:
        CorruptDataError: it cannot be read.
    """
    newest = max(blobs.list_keys(FOLDER), default=None)
    if newest is None:
        return Condemned()
    try:
        return _decode(newest, blobs.get(newest))
    except NotFoundError:  # replaced since the listing
        return read_condemned(blobs)


def write_condemned(blobs: BlobStore, state: Condemned) -> None:
    """Put a state in place of the older ones; for the one collector of a store."""
    older = list(blobs.list_keys(FOLDER))
    number = 1 + max((int(key.removeprefix(FOLDER)) for key in older), default=0)
    blobs.put_if_absent(f"{FOLDER}{number:012}", _encode(state))
    for key in older:
        blobs.delete(key)


def _encode(state: Condemned) -> bytes:
    batches: dict[datetime, _Batch] = {}
    for pack, digest, since in state.places():
        batch = batches.setdefault(since, _Batch((since - _EPOCH) // timedelta(microseconds=1), [], {}, b""))
        if not digest:
            batch.packs.append(pack)
        elif pack:
            batch.objects.setdefault(pack, b"")
    for since, batch in batches.items():
        batch.loose = b"".join(digest for digest, at in state.loose.items() if at == since)
        batch.objects = {
            pack: b"".join(digest for digest, at in state.objects[pack].items() if at == since)
            for pack in batch.objects
        }
    return msgspec.msgpack.encode(list(batches.values()))


def _decode(key: str, body: bytes) -> Condemned:
    try:
        batches = msgspec.msgpack.decode(body, type=list[_Batch])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{key} is damaged: {error}", hint="run 'penstock verify --repair'") from error
    state = Condemned(int(key.removeprefix(FOLDER)))
    for batch in batches:
        since = _EPOCH + timedelta(microseconds=batch.since_us)
        state.packs.update(dict.fromkeys(batch.packs, since))
        state.loose.update(dict.fromkeys(_split(batch.loose), since))
        for pack, digests in batch.objects.items():
            state.objects.setdefault(pack, {}).update(dict.fromkeys(_split(digests), since))
    return state


def _split(digests: bytes) -> Iterable[bytes]:
    return (digests[start : start + DIGEST_SIZE] for start in range(0, len(digests), DIGEST_SIZE))
