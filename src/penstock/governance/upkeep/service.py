"""The verbs of upkeep."""

from datetime import timedelta

from sqlalchemy import insert, select

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Ref, new_id
from penstock.governance.upkeep.tables import database_identity
from penstock.governance.upkeep.types import Freed, Reference
from penstock.storage.database import Database
from penstock.storage.leases import Lease, acquire_lease, check_fence, release_lease
from penstock.storage.references import list_kept
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import reads, writes

_LEASE = "collection"
_SHORTEST_S, _LONGEST_S = 1.0, 3600.0


class UpkeepService:
    """Says what the object store has to keep, and lets one collect the rest at a time."""

    noun = "upkeep"

    def __init__(self, db: Database) -> None:
        self.db = db

    @writes
    def get_database_id(self, tx: Transaction) -> str:
        """What stores call this database; made when it is asked for first."""
        known = tx.execute(select(database_identity.c.id)).scalar_one_or_none()
        if known is not None:
            return str(known)
        made = new_id()
        tx.execute(insert(database_identity).values(id=made, created_at=tx.now))
        return made

    @reads
    def list_references(self, tx: Transaction) -> list[Reference]:
        """Everything that needs an object, with the object; all at once, as a page read later would miss what moved."""
        return [Reference(owner, digest) for owner, digest in list_kept(tx)]

    @writes
    def begin_collection(self, tx: Transaction, holder: str, ttl_s: float = 60.0) -> Lease | None:
        """Take the right to collect, or keep it a while longer; None while somebody else has it.

        Args:
            holder: who collects; another name for each attempt.
            ttl_s: seconds, 1 to an hour, for which nobody else may begin.
        """
        if not _SHORTEST_S <= ttl_s <= _LONGEST_S:
            raise InvalidInputError(f"a collection cannot be held for {ttl_s:g} s", field="ttl_s")
        return acquire_lease(tx, _LEASE, holder, timedelta(seconds=ttl_s))

    @writes
    def end_collection(self, tx: Transaction, fence: int, freed: Freed) -> None:
        """Give the right back and write down what was done with it.

        Args:
            fence: of the lease.
            freed: what was condemned and deleted.

        Raises:
            ConflictError: the right was lost meanwhile.
        """
        check_fence(tx, _LEASE, fence)
        release_lease(tx, _LEASE, fence)
        if freed.condemned or freed.deleted:
            detail = {"condemned": freed.condemned, "deleted": freed.deleted, "freed": freed.freed}
            tx.record("upkeep.collect", Ref("object-store", freed.store[:200]), **detail)
