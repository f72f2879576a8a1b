"""What keeps an object alive: each noun names the digests it needs, in the transaction that makes it need them."""

from collections.abc import Iterable

from sqlalchemy import Column, String, Table, delete, insert, select

from penstock.core.ids import Digest, Ref
from penstock.storage.columns import UtcTime, metadata
from penstock.storage.objects.format import parse_digest
from penstock.storage.transaction import Transaction

object_references = Table(
    "object_references",
    metadata,
    Column("owner", String(300), primary_key=True),
    Column("digest", String(64), primary_key=True, index=True),
    Column("created_at", UtcTime, nullable=False),
)


def keep_objects(tx: Transaction, owner: Ref, digests: Iterable[Digest]) -> None:
    """Say that `owner` needs these objects; naming one twice changes nothing.

    Raises:
        InvalidInputError: one of them is no digest.
    """
    digests = set(digests)
    for digest in digests:
        parse_digest(digest)
    held = object_references.c.digest
    known = set(tx.execute(select(held).where(object_references.c.owner == str(owner))).scalars())
    rows = [{"owner": str(owner), "digest": digest, "created_at": tx.now} for digest in sorted(digests - known)]
    if rows:
        tx.execute(insert(object_references), rows)


def drop_objects(tx: Transaction, owner: Ref) -> None:
    """Say that `owner` needs nothing any more."""
    tx.execute(delete(object_references).where(object_references.c.owner == str(owner)))


def list_kept(tx: Transaction) -> list[tuple[Ref, Digest]]:
    """Every owner with a digest it needs."""
    rows = tx.execute(select(object_references.c.owner, object_references.c.digest))
    return [(Ref.parse(row.owner), Digest(row.digest)) for row in rows]
