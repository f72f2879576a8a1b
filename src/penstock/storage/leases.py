"""Leases with fencing numbers: one holder at a time, and a holder that slept too long can do no harm."""

from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import BigInteger, Column, String, Table, insert, select, update

from penstock.core import failpoints
from penstock.core.errors import ConflictError
from penstock.storage.columns import UtcTime, metadata
from penstock.storage.rows import from_row
from penstock.storage.transaction import Transaction

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)


class Lease(Struct, frozen=True):
    """The right to act on something until a moment. `fence` grows with each new holder."""

    name: str
    holder: str
    fence: int
    expires_at: datetime


def acquire_lease(tx: Transaction, name: str, holder: str, ttl: timedelta) -> Lease | None:
    """Take a lease that is free or expired, or extend one's own; None while somebody else holds it."""
    failpoints.hit("storage.leases.acquire")
    known = find_lease(tx, name)
    expires_at = tx.now + ttl
    if known is None:
        lease = Lease(name, holder, 1, expires_at)
        tx.execute(insert(leases).values(name=name, holder=holder, fence=1, expires_at=expires_at))
        return lease
    mine = known.holder == holder and known.expires_at > tx.now
    if not mine and known.expires_at > tx.now:
        return None
    fence = known.fence if mine else known.fence + 1
    row = {"holder": holder, "fence": fence, "expires_at": expires_at}
    tx.execute(update(leases).where(leases.c.name == name).values(row))
    return Lease(name, holder, fence, expires_at)


def release_lease(tx: Transaction, name: str, fence: int) -> None:
    """Let go of a lease, so that the next holder need not wait for its end; one that was lost is left alone."""
    held = (leases.c.name == name) & (leases.c.fence == fence) & (leases.c.expires_at > tx.now)
    tx.execute(update(leases).where(held).values(expires_at=tx.now))


def check_fence(tx: Transaction, name: str, fence: int) -> None:
    """Let an effect pass only for the present holder.

    Raises:
        ConflictError: somebody else took the lease since, or it has expired.
    """
    known = find_lease(tx, name)
    if known is None or known.fence != fence or known.expires_at <= tx.now:
        raise ConflictError(f"lease {name!r} with fence {fence} is no longer held", hint="acquire it again")


def find_lease(tx: Transaction, name: str) -> Lease | None:
    """The lease as it stands, held or expired."""
    row = tx.execute(select(leases).where(leases.c.name == name)).one_or_none()
    return None if row is None else from_row(Lease, row)
