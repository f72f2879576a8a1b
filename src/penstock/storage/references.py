"""What keeps an object alive: each noun names the digests it needs, in the transaction that makes it need them."""

from collections.abc import Collection, Iterable

from sqlalchemy import Column, String, Table, delete, insert, select

from penstock.core.ids import Digest, Ref
from penstock.storage.columns import UtcTime, metadata
from penstock.storage.objects.format import parse_digest
from penstock.storage.transaction import Transaction

_BATCH = 500  # digests in one query

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
    wanted = sorted(set(digests))
    for digest in wanted:
        parse_digest(digest)
    held = object_references.c
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        mine = select(held.digest).where(held.owner == str(owner), held.digest.in_(some))
        known = set(tx.execute(mine).scalars())
        rows = [{"owner": str(owner), "digest": digest, "created_at": tx.now} for digest in some if digest not in known]
        if rows:
            tx.execute(insert(object_references), rows)


def drop_objects(tx: Transaction, owner: Ref, digests: Collection[Digest] | None = None) -> None:
    """Say that `owner` needs these objects no more; None for all that it has needed."""
    own = object_references.c.owner == str(owner)
    if digests is not None:
        own = own & object_references.c.digest.in_(digests)
    tx.execute(delete(object_references).where(own))


def list_kept(tx: Transaction) -> list[tuple[Ref, Digest]]:
    """Every owner with a digest it needs."""
    rows = tx.execute(select(object_references.c.owner, object_references.c.digest))
    return [(Ref.parse(row.owner), Digest(row.digest)) for row in rows]
