"""The SQL of deliveries: one query per method, no rules."""

from datetime import datetime

from sqlalchemy import delete, select, update

from penstock.core.ids import RunId
from penstock.storage.database import Database
from penstock.storage.rows import from_row
from penstock.storage.transaction import Transaction
from penstock.tracking.deliveries.tables import deliveries
from penstock.tracking.deliveries.types import Delivery
from penstock.tracking.tables import runs


class DeliveryStore:
    """Reads and writes the table of deliveries."""

    def __init__(self, db: Database) -> None:
        self._add = db.upsert(deliveries, keys=("spool",), update=())

    def find(self, tx: Transaction, spool: str) -> Delivery | None:
        """What is known of a spool."""
        row = tx.execute(select(deliveries).where(deliveries.c.spool == spool)).one_or_none()
        return None if row is None else from_row(Delivery, row)

    def lock(self, tx: Transaction, spool: str) -> Delivery:
        """The same, for whoever changes it: nobody else does until this transaction ends."""
        tx.execute(self._add, [{"spool": spool, "last": 0, "refused": [], "updated_at": tx.now}])
        query = select(deliveries).where(deliveries.c.spool == spool).with_for_update()
        return from_row(Delivery, tx.execute(query).one())

    def keep(self, tx: Transaction, delivery: Delivery) -> None:
        """Note how far a spool has been applied."""
        values = {"last": delivery.last, "refused": list(delivery.refused), "updated_at": tx.now}
        tx.execute(update(deliveries).where(deliveries.c.spool == delivery.spool).values(values))

    def forget(self, tx: Transaction, before: datetime) -> None:
        """Remove what is known of spools that nobody has delivered since."""
        tx.execute(delete(deliveries).where(deliveries.c.updated_at < before))

    def set_parent(self, tx: Transaction, run_id: RunId, parent: RunId) -> None:
        """Make a run part of one that may still be on its way."""
        tx.execute(update(runs).where(runs.c.id == run_id).values(parent=parent))
