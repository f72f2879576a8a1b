"""What is seen while something is served: what gateways say of themselves, and what the judge of a rollout saw."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from penstock.core.ids import RolloutId
from penstock.registry.service import RegistryService
from penstock.serving.lookup import ServingLookup
from penstock.serving.tables import gateway_reports
from penstock.serving.types import GatewayReport, RolloutMeasures
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads

MEASURED_EVERY = timedelta(minutes=1)
SPARSER = 100  # of a rollout that lasts, measures are kept at intervals of its age divided by this
SILENT_AFTER = timedelta(minutes=1)  # gateways report every few seconds


class ServingReports(ServingLookup):
    """Observations; they change no traffic."""

    def __init__(self, db: Database, registry: RegistryService) -> None:
        super().__init__(db, registry)
        columns = ["routing", "revisions", "failures", "waiting_segments", "dropped_copies", "at"]
        self._upsert_report = db.upsert(gateway_reports, keys=["gateway"], update=columns)

    @logs
    def note_measures(
        self, tx: Transaction, rollout_id: RolloutId, decision: str, reason: str, evidence: dict[str, Any]
    ) -> bool:
        """Keep what the judge saw of a running rollout, at most once a minute; later on less often, as it lasts.

        Returns:
            Whether it was kept.
        """
        rollout = self._store.get_rollout(tx, rollout_id)
        last = self._store.find_last_measured(tx, rollout_id)
        every = max(MEASURED_EVERY, (tx.now - rollout.started_at) / SPARSER)
        if rollout.state != "running" or (last is not None and tx.now - last < every):
            return False
        measures = RolloutMeasures(
            rollout=rollout_id,
            at=tx.now,
            step=rollout.step,
            share=rollout.share,
            decision=decision,
            reason=reason,
            evidence=evidence,
        )
        self._store.insert_measures(tx, measures)
        return True

    @reads
    def list_measures(self, tx: Transaction, rollout_id: RolloutId) -> list[RolloutMeasures]:
        """What the judge saw of a rollout over time, oldest first; its end is in the rollout's own events."""
        self._store.get_rollout(tx, rollout_id)
        return self._store.list_measures(tx, rollout_id)

    @logs
    def report_gateway(self, tx: Transaction, report: GatewayReport) -> None:
        """Take in what a gateway says of itself; only its last report is kept."""
        self._store.delete_reports(tx, before=tx.now - SILENT_AFTER)
        self._store.upsert_report(tx, self._upsert_report, replace(report, at=tx.now))

    @reads
    def list_gateways(self, tx: Transaction) -> list[GatewayReport]:
        """The last report of each gateway; one that has said nothing for a minute is taken to be gone."""
        return self._store.list_reports(tx, since=tx.now - SILENT_AFTER)
