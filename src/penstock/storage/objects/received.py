"""Blobs that somebody else sent: each has to be what its key says, or it would stand in the way of the right one."""

from penstock.core.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import digest_of
from penstock.storage.objects.keys import loose_key
from penstock.storage.objects.pack import PACK_MAGIC, PackReader, decode_index, index_key, pack_key


def put_received(blobs: BlobStore, key: str, data: Data) -> bool:
    """Keep a blob that came from elsewhere; False when the key is taken.

    A pack cannot be checked before its index is there, so that is done when the index comes.

    Raises:
        InvalidInputError: the key does not belong to these bytes.
        ConflictError: the pack of this index is missing or another one, and has to be sent again.
    """
    name = key.rpartition("/")[2].rpartition(".")[0]
    if key == loose_key(digest_of(data)):
        return blobs.put_if_absent(key, data)
    if key == pack_key(name) and bytes(data[: len(PACK_MAGIC)]) == PACK_MAGIC:
        return blobs.put_if_absent(key, data)
    if key == index_key(name):
        if _is_there(blobs, key):
            return False
        _check_pack(blobs, name, bytes(data))
        return blobs.put_if_absent(key, data)
    raise InvalidInputError(f"{key[:200]!r} is not the key of these bytes", field="key")


def _is_there(blobs: BlobStore, key: str) -> bool:
    try:
        blobs.size(key)
    except NotFoundError:
        return False
    return True


def _check_pack(blobs: BlobStore, name: str, index: bytes) -> None:
    try:
        placed = decode_index(name, index)
    except CorruptDataError as error:
        raise InvalidInputError(f"these bytes are no index of pack {name[:64]}", field="key") from error
    reader = PackReader(blobs)
    try:
        if all(digest_of(reader.read(place)) == digest for digest, place in placed):
            return
        blobs.delete(pack_key(name))  # nothing can refer to it: no index ever stood beside it
    except (NotFoundError, CorruptDataError):
        pass
    raise ConflictError(f"pack {name} is not what its index says", hint="send the pack again, then its index")
