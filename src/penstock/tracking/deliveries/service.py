"""The verbs of deliveries."""

from datetime import timedelta

from penstock.core import failpoints
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.framing import iterate_whole
from penstock.core.ids import check_name
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.deliveries.applying import Applier
from penstock.tracking.deliveries.store import DeliveryStore
from penstock.tracking.deliveries.types import Delivery
from penstock.tracking.service import TrackingService

SPOOL_LIMIT = 64  # characters of a spool's id
KEPT_FOR = timedelta(days=400)  # longer than a machine stays without a network


class DeliveryService:
    """Takes what clients have spooled. A spool numbers its records, and each is applied once, in that order.

    How far a spool has been applied is kept in the transaction that applies it, so that a batch may be sent any number
    of times, by several processes, and after any crash.
    """

    noun = "deliveries"

    def __init__(self, db: Database, tracking: TrackingService, artifacts: ArtifactService) -> None:
        self.db = db
        self._tracking = tracking
        self._artifacts = artifacts
        self._store = DeliveryStore(db)

    @logs
    def deliver(self, tx: Transaction, spool: str, first: int, records: bytes) -> Delivery:
        """Apply the records of a spool that were not applied before; those that cannot be taken are named.

        Args:
            spool: the id that its client chose.
            first: the number of the first record; a spool counts from 1.
            records: one after the other, framed by length and checksum; base64 in JSON.

        Raises:
            ConflictError: records before the first one are missing.
            InvalidInputError: a frame is damaged.
            NotFoundError: the run that this spool goes on with is not there, or not yet.
        """
        held = self._store.lock(tx, _check_spool(spool))
        if not 1 <= first <= held.last + 1:
            raise ConflictError(
                f"record {first} of spool {spool} cannot follow record {held.last}",
                hint=f"send the records from number {held.last + 1} on",
            )
        payloads = _split(records)
        if first + len(payloads) - 1 <= held.last:
            return held
        known = [refusal for refusal in held.refused if refusal.sequence >= first]
        applier = Applier(self._tracking, self._artifacts, self._store, tx)
        refused = applier.apply(held.last + 1, payloads[held.last + 1 - first :])
        done = Delivery(spool=spool, last=first + len(payloads) - 1, refused=(*known, *refused))
        self._store.keep(tx, done)
        failpoints.hit("tracking.deliveries.applied")
        if held.last == 0:
            self._store.forget(tx, tx.now - KEPT_FOR)
        return done

    @reads
    def get_delivery(self, tx: Transaction, spool: str) -> Delivery:
        """How far a spool has been applied; nothing at all for one that was never heard of."""
        return self._store.find(tx, _check_spool(spool)) or Delivery(spool=spool)


def _check_spool(spool: str) -> str:
    if len(spool) > SPOOL_LIMIT:
        raise InvalidInputError(f"the id of a spool has up to {SPOOL_LIMIT} characters", field="spool")
    return check_name(spool, "spool")


def _split(records: bytes) -> list[bytes]:
    payloads, end = [], 0
    for end, payload in iterate_whole(records):  # noqa: B007  # the last end is looked at below
        payloads.append(payload)
    if end != len(records):
        raise InvalidInputError(f"records: the frame at byte {end} is damaged or cut off", field="records")
    return payloads
