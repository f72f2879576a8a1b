"""The SQL of monitoring; a query per method."""

from datetime import datetime

from sqlalchemy import Insert, and_, insert, select, update

from penstock.core.errors import NotFoundError
from penstock.monitoring.tables import alerts, cursors, references, windows
from penstock.monitoring.types import Alert, Cursor, ReferenceSketch, Window
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction


class MonitoringStore:
    """Reads and writes windows and alerts."""

    def __init__(self, db: Database) -> None:
        self._put_window: Insert = db.upsert(
            windows,
            keys=("deployment", "start"),
            update=tuple(name for name in Window.__struct_fields__ if name not in ("deployment", "start")),
        )
        self._put_reference: Insert = db.upsert(
            references, keys=("deployment", "version"), update=("sample", "key", "sketch", "is_final")
        )
        self._put_cursor: Insert = db.upsert(
            cursors, keys=("deployment",), update=("segments", "outcomes", "closed_until")
        )

    def find_cursor(self, tx: Transaction, deployment: str) -> Cursor | None:
        """How far the monitor has come; None before it began."""
        row = tx.execute(select(cursors).where(cursors.c.deployment == deployment)).one_or_none()
        return None if row is None else from_row(Cursor, row)

    def put_cursor(self, tx: Transaction, cursor: Cursor) -> None:
        """Write how far the monitor has come."""
        tx.execute(self._put_cursor, to_row(cursor))

    def put_window(self, tx: Transaction, window: Window) -> None:
        """Write a window, in place of an earlier edition."""
        tx.execute(self._put_window, to_row(window))

    def put_reference(self, tx: Transaction, reference: ReferenceSketch) -> None:
        """Write the sketch of a version's reference, in place of another."""
        tx.execute(self._put_reference, to_row(reference))

    def find_reference(self, tx: Transaction, deployment: str, version: int) -> ReferenceSketch | None:
        """The sketch of a version's reference."""
        held = references.c
        query = select(references).where(and_(held.deployment == deployment, held.version == version))
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(ReferenceSketch, row)

    def find_window(self, tx: Transaction, deployment: str, start: datetime) -> Window | None:
        """One window by its start."""
        query = select(windows).where(and_(windows.c.deployment == deployment, windows.c.start == start))
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(Window, row)

    def list_windows(self, tx: Transaction, deployment: str, after: datetime | None, limit: int) -> list[Window]:
        """The newest windows that start after a moment, oldest first."""
        query = select(windows).order_by(windows.c.start.desc()).limit(limit)
        if deployment:
            query = query.where(windows.c.deployment == deployment)
        if after is not None:
            query = query.where(windows.c.start > after)
        return [from_row(Window, row) for row in reversed(tx.execute(query).all())]

    def insert_alert(self, tx: Transaction, alert: Alert) -> None:
        """Add an alert."""
        tx.execute(insert(alerts).values(to_row(alert)))

    def update_alert(self, tx: Transaction, alert: Alert) -> None:
        """Replace an alert."""
        tx.execute(update(alerts).where(alerts.c.id == alert.id).values(to_row(alert)))

    def get_alert(self, tx: Transaction, alert_id: str) -> Alert:
        """One alert; raises NotFoundError."""
        alert = self.find_alert(tx, alert_id)
        if alert is None:
            raise NotFoundError(f"there is no alert {alert_id!r}", hint="`penstock monitor` lists them")
        return alert

    def find_alert(self, tx: Transaction, alert_id: str) -> Alert | None:
        """One alert."""
        row = tx.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()
        return None if row is None else from_row(Alert, row)

    def find_newest_alert(self, tx: Transaction, deployment: str, kind: str) -> Alert | None:
        """The last alert of a kind."""
        query = select(alerts).where(and_(alerts.c.deployment == deployment, alerts.c.kind == kind))
        row = tx.execute(query.order_by(alerts.c.window_start.desc()).limit(1)).one_or_none()
        return None if row is None else from_row(Alert, row)

    def list_alerts(self, tx: Transaction, deployment: str, status: str, limit: int) -> list[Alert]:
        """Alerts, newest first."""
        query = select(alerts).order_by(alerts.c.as_of.desc(), alerts.c.id).limit(limit)
        if deployment:
            query = query.where(alerts.c.deployment == deployment)
        if status:
            query = query.where(alerts.c.status == status)
        return [from_row(Alert, row) for row in tx.execute(query)]
