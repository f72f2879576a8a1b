"""The SQL of serving; a query per method."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update

from penstock.core.errors import NotFoundError
from penstock.core.ids import RolloutId
from penstock.core.project.types import RulesSection
from penstock.serving.tables import (
    deployments,
    gateway_reports,
    revisions,
    rollout_measures,
    rollouts,
    routing_numbers,
)
from penstock.serving.types import Deployment, GatewayReport, Revision, RevisionState, Rollout, RolloutMeasures
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction


class ServingStore:
    """Reads and writes deployments, revisions, rollouts and what gateways report."""

    def find_deployment(self, tx: Transaction, name: str) -> Deployment | None:
        """The deployment with its revisions, or None."""
        row = tx.execute(select(deployments).where(deployments.c.name == name)).one_or_none()
        return None if row is None else self._build(tx, row)

    def get_deployment(self, tx: Transaction, name: str) -> Deployment:
        """The deployment with its revisions."""
        found = self.find_deployment(tx, name)
        if found is None:
            raise NotFoundError(f"there is no deployment {name!r}", hint="'penstock run' makes the first release")
        return found

    def list_deployments(self, tx: Transaction) -> list[Deployment]:
        """All deployments by name."""
        return [self._build(tx, row) for row in tx.execute(select(deployments).order_by(deployments.c.name)).all()]

    def insert_deployment(self, tx: Transaction, name: str) -> Deployment:
        """Add a deployment that serves nothing yet."""
        tx.execute(insert(deployments).values(name=name, default={}, rules={}, share=0.0, updated_at=tx.now))
        return Deployment(name=name, updated_at=tx.now)

    def update_deployment(self, tx: Transaction, name: str, **values: Any) -> None:
        """Change some columns of a deployment."""
        tx.execute(update(deployments).where(deployments.c.name == name).values(updated_at=tx.now, **values))

    def get_revision(self, tx: Transaction, deployment: str, number: int) -> Revision:
        """One revision of a deployment."""
        this = (revisions.c.deployment == deployment) & (revisions.c.number == number)
        row = tx.execute(select(revisions).where(this)).one_or_none()
        if row is None:
            raise NotFoundError(f"deployment {deployment!r} has no revision {number}")
        return from_row(Revision, row)

    def list_revisions(self, tx: Transaction, deployment: str) -> list[Revision]:
        """The revisions of a deployment, newest first."""
        query = select(revisions).where(revisions.c.deployment == deployment).order_by(revisions.c.number.desc())
        return [from_row(Revision, row) for row in tx.execute(query)]

    def next_revision_number(self, tx: Transaction, deployment: str) -> int:
        """One more than the highest so far."""
        query = select(func.max(revisions.c.number)).where(revisions.c.deployment == deployment)
        return int(tx.execute(query).scalar() or 0) + 1

    def insert_revision(self, tx: Transaction, revision: Revision) -> None:
        """Add a revision."""
        tx.execute(insert(revisions).values(to_row(revision)))

    def set_revision_state(self, tx: Transaction, revision: Revision, state: RevisionState, **values: Any) -> None:
        """Say what became of a revision."""
        this = (revisions.c.deployment == revision.deployment) & (revisions.c.number == revision.number)
        tx.execute(update(revisions).where(this).values(state=state, **values))

    def get_rollout(self, tx: Transaction, rollout_id: RolloutId) -> Rollout:
        """One rollout."""
        row = tx.execute(select(rollouts).where(rollouts.c.id == rollout_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no rollout {rollout_id!r}")
        return from_row(Rollout, row)

    def list_rollouts(self, tx: Transaction, deployment: str | None, limit: int) -> list[Rollout]:
        """Rollouts, newest first; of all deployments when None."""
        query = select(rollouts).order_by(rollouts.c.started_at.desc(), rollouts.c.id.desc()).limit(limit)
        if deployment is not None:
            query = query.where(rollouts.c.deployment == deployment)
        return [from_row(Rollout, row) for row in tx.execute(query)]

    def insert_rollout(self, tx: Transaction, rollout: Rollout) -> None:
        """Add a rollout."""
        tx.execute(insert(rollouts).values(to_row(rollout)))

    def update_rollout(self, tx: Transaction, rollout: Rollout) -> None:
        """Write a rollout's present state."""
        tx.execute(update(rollouts).where(rollouts.c.id == rollout.id).values(to_row(rollout)))

    def find_last_measured(self, tx: Transaction, rollout_id: RolloutId) -> datetime | None:
        """When the measures of a rollout were kept last."""
        query = select(func.max(rollout_measures.c.at)).where(rollout_measures.c.rollout == rollout_id)
        last: datetime | None = tx.execute(query).scalar()
        return last

    def insert_measures(self, tx: Transaction, measures: RolloutMeasures) -> None:
        """Keep what the judge saw."""
        tx.execute(insert(rollout_measures).values(to_row(measures)))

    def list_measures(self, tx: Transaction, rollout_id: RolloutId) -> list[RolloutMeasures]:
        """What the judge saw of a rollout, oldest first."""
        query = select(rollout_measures).where(rollout_measures.c.rollout == rollout_id)
        return [from_row(RolloutMeasures, row) for row in tx.execute(query.order_by(rollout_measures.c.at))]

    def routing_number(self, tx: Transaction) -> int:
        """How often the routing changed so far."""
        return int(tx.execute(select(routing_numbers.c.number)).scalar() or 0)

    def raise_routing_number(self, tx: Transaction) -> int:
        """Count one more change of the routing."""
        number = self.routing_number(tx) + 1
        if number == 1:
            tx.execute(insert(routing_numbers).values(id=1, number=1))
        else:
            tx.execute(update(routing_numbers).values(number=number))
        return number

    def upsert_report(self, tx: Transaction, statement: Any, report: GatewayReport) -> None:
        """Write a gateway's report with a statement that `Database.upsert` made."""
        tx.execute(statement, [to_row(report)])

    def delete_reports(self, tx: Transaction, before: datetime) -> None:
        """Forget gateways that said nothing since."""
        tx.execute(delete(gateway_reports).where(gateway_reports.c.at < before))

    def list_reports(self, tx: Transaction, since: datetime) -> list[GatewayReport]:
        """The last report of each gateway that said something since."""
        query = select(gateway_reports).where(gateway_reports.c.at >= since).order_by(gateway_reports.c.gateway)
        return [from_row(GatewayReport, row) for row in tx.execute(query)]

    def _build(self, tx: Transaction, row: Any) -> Deployment:
        def revision(number: int | None) -> Revision | None:
            return None if number is None else self.get_revision(tx, row.name, number)

        return Deployment(
            name=row.name,
            key=row.key,
            default=row.default,
            rules=msgspec.convert(row.rules, RulesSection),
            stable=revision(row.stable),
            candidate=revision(row.candidate),
            share=row.share,
            rollout=row.rollout,
            updated_at=row.updated_at,
        )
