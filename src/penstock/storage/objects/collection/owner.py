"""Whose a store is: the blob `owner` names the one database that may collect it."""

from datetime import datetime

from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import ConflictError, CorruptDataError, InvalidInputError, NotFoundError
from penstock.storage.objects.blob_store import BlobStore

KEY = "owner"


class Owner(Struct, frozen=True):
    """The database that collects a store."""

    database: str  # its id
    place: str  # where it is, for people
    since: datetime  # UTC


def find_owner(blobs: BlobStore) -> Owner | None:
    """The owner of a store; None when it has none.

    Raises:
        CorruptDataError: the blob cannot be read.
    """
    try:
        return codec.decode(blobs.get(KEY), Owner)
    except NotFoundError:
        return None
    except InvalidInputError as error:
        raise CorruptDataError(f"the blob {KEY!r} of the store is damaged: {error.message}") from error


def take_store(blobs: BlobStore, owner: Owner, *, replace: bool = False) -> Owner:
    """Own a store that nobody owns; returns whose it is then.

    Args:
        blobs: the store.
        owner: who wants it.
        replace: take it from another owner, too.
    """
    if replace:
        blobs.delete(KEY)
    blobs.put_if_absent(KEY, codec.encode(owner))
    return find_owner(blobs) or owner


def check_owner(found: Owner | None, database: str) -> None:
    """Let only the owner collect.

    Raises:
        ConflictError: the store is another database's, or nobody's.
    """
    if found is None:
        hint = "'penstock gc --claim' makes this database its owner; whatever only others refer to is then lost"
        raise ConflictError("this store has no owner, and others may refer to what is in it", hint=hint)
    if found.database != database:
        hint = "collect it there, or take it over with --claim when that database is no more"
        raise ConflictError(f"this store belongs to the database of {found.place}", hint=hint)
