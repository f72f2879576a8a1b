"""Seals the points of runs that have ended: their digest goes into the audit log, outside of anybody's write."""

from penstock.storage.database import Database
from penstock.tracking.service import TrackingService


class Sealer:
    """Looks for runs that have ended and are not sealed; several may work at once.

    A long run is read on a snapshot, so that writers wait for the entry alone; points that arrive meanwhile leave it
    for the next round.
    """

    def __init__(self, db: Database, tracking: TrackingService) -> None:
        self._db = db
        self._tracking = tracking

    def tick(self) -> bool:
        """Seal the runs that wait for it; whether there were any that could be."""
        sealed = False
        for run_id in self._tracking.list_unsealed(limit=20):
            with self._db.snapshot() as tx:
                digest, points = self._tracking.digest_points(tx, run_id)
            sealed |= self._tracking.seal_run(run_id, digest, points)
        return sealed
