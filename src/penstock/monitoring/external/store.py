"""The SQL of deployments that are served elsewhere; a query per method."""

from sqlalchemy import insert, select, update

from penstock.monitoring.external.tables import external_deployments, external_versions
from penstock.monitoring.external.types import ExternalDeployment, ExternalVersion
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction


class ExternalStore:
    """Reads and writes deployments that are served elsewhere, and their versions."""

    def find_deployment(self, tx: Transaction, name: str) -> ExternalDeployment | None:
        """The deployment, or None."""
        row = tx.execute(select(external_deployments).where(external_deployments.c.name == name)).one_or_none()
        return None if row is None else from_row(ExternalDeployment, row)

    def list_deployments(self, tx: Transaction) -> list[ExternalDeployment]:
        """All of them, by name."""
        rows = tx.execute(select(external_deployments).order_by(external_deployments.c.name))
        return [from_row(ExternalDeployment, row) for row in rows]

    def insert_deployment(self, tx: Transaction, deployment: ExternalDeployment) -> None:
        """Add one."""
        tx.execute(insert(external_deployments).values(to_row(deployment)))

    def update_deployment(self, tx: Transaction, deployment: ExternalDeployment) -> None:
        """Replace one."""
        this = external_deployments.c.name == deployment.name
        tx.execute(update(external_deployments).where(this).values(to_row(deployment)))

    def list_versions(self, tx: Transaction, deployment: str) -> list[ExternalVersion]:
        """Its versions, by number."""
        query = select(external_versions).where(external_versions.c.deployment == deployment)
        rows = tx.execute(query.order_by(external_versions.c.version))
        return [from_row(ExternalVersion, row) for row in rows]

    def find_version(self, tx: Transaction, deployment: str, version: int) -> ExternalVersion | None:
        """One of them, or None."""
        held = external_versions.c
        query = select(external_versions).where(held.deployment == deployment, held.version == version)
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(ExternalVersion, row)

    def insert_version(self, tx: Transaction, version: ExternalVersion) -> None:
        """Add one."""
        tx.execute(insert(external_versions).values(to_row(version)))

    def update_version(self, tx: Transaction, version: ExternalVersion) -> None:
        """Replace one."""
        held = external_versions.c
        this = (held.deployment == version.deployment) & (held.version == version.version)
        tx.execute(update(external_versions).where(this).values(to_row(version)))
