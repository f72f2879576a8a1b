"""The SQL of incidents; a query per method."""

from datetime import datetime
from typing import Any

from sqlalchemy import Insert, func, insert, or_, select, update

from penstock.core.errors import NotFoundError
from penstock.monitoring.incidents.tables import deliveries, incident_signals, incidents, silences
from penstock.monitoring.incidents.types import Delivery, Incident, IncidentSignal, Silence
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction

_HINT = "`penstock alerts list` shows them"


class IncidentStore:
    """Reads and writes incidents, their signals, silences and deliveries."""

    def __init__(self, db: Database) -> None:
        self._put_incident: Insert = db.upsert(incidents, keys=("id",), update=_others(Incident, "id"))
        self._put_signal: Insert = db.upsert(
            incident_signals, keys=("incident", "key"), update=_others(IncidentSignal, "incident", "key")
        )
        self._add_delivery: Insert = db.upsert(deliveries, keys=("id",), update=())

    def put_incident(self, tx: Transaction, incident: Incident) -> None:
        """Add an incident, or replace it."""
        tx.execute(self._put_incident, to_row(incident))

    def get_incident(self, tx: Transaction, incident: str) -> Incident:
        """One incident; raises NotFoundError."""
        row = tx.execute(select(incidents).where(incidents.c.id == incident)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no incident {incident[:100]!r}", hint=_HINT)
        return from_row(Incident, row)

    def list_incidents(self, tx: Transaction, deployment: str, status: str, limit: int) -> list[Incident]:
        """Incidents, newest first; the status `unresolved` is both open and acknowledged."""
        query = select(incidents).order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit)
        if deployment:
            query = query.where(incidents.c.deployment == deployment)
        if status == "unresolved":
            query = query.where(incidents.c.status != "resolved")
        elif status:
            query = query.where(incidents.c.status == status)
        return [from_row(Incident, row) for row in tx.execute(query)]

    def list_to_tell(self, tx: Transaction, deployment: str, since: datetime) -> list[Incident]:
        """Incidents of which somebody may have to be told: unresolved ones, and those resolved lately."""
        held = incidents.c
        lately = or_(held.status != "resolved", held.resolved_at >= since)
        query = select(incidents).where(held.deployment == deployment, lately).order_by(held.opened_at, held.id)
        return [from_row(Incident, row) for row in tx.execute(query)]

    def count_unresolved(self, tx: Transaction) -> dict[tuple[str, str, str], int]:
        """How many there are, by deployment, severity and status."""
        held = incidents.c
        query = select(held.deployment, held.severity, held.status, func.count()).where(held.status != "resolved")
        rows: list[Any] = list(tx.execute(query.group_by(held.deployment, held.severity, held.status)))
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    def put_signal(self, tx: Transaction, signal: IncidentSignal) -> None:
        """Add a signal to its incident, or replace it."""
        tx.execute(self._put_signal, to_row(signal))

    def list_signals(self, tx: Transaction, incident: str) -> list[IncidentSignal]:
        """All that ever spoke for an incident, first seen first."""
        query = select(incident_signals).where(incident_signals.c.incident == incident)
        query = query.order_by(incident_signals.c.seen_at, incident_signals.c.key)
        return [from_row(IncidentSignal, row) for row in tx.execute(query)]

    def list_speaking(self, tx: Transaction, deployment: str) -> list[IncidentSignal]:
        """The signals of a deployment that have not ended."""
        query = select(incident_signals).join(incidents, incidents.c.id == incident_signals.c.incident)
        query = query.where(incidents.c.deployment == deployment, incident_signals.c.ended_at.is_(None))
        return [from_row(IncidentSignal, row) for row in tx.execute(query)]

    def add_silence(self, tx: Transaction, silence: Silence) -> None:
        """A new silence."""
        tx.execute(insert(silences).values(to_row(silence)))

    def get_silence(self, tx: Transaction, silence: str) -> Silence:
        """One silence; raises NotFoundError."""
        row = tx.execute(select(silences).where(silences.c.id == silence)).one_or_none()
        if row is None:
            hint = "`penstock alerts silences` shows them"
            raise NotFoundError(f"there is no silence {silence[:100]!r}", hint=hint)
        return from_row(Silence, row)

    def end_silence(self, tx: Transaction, silence: str) -> None:
        """It counts no more."""
        tx.execute(update(silences).where(silences.c.id == silence).values(ended_at=tx.now))

    def list_silences(self, tx: Transaction, limit: int, *, only_running: bool) -> list[Silence]:
        """Silences, newest first."""
        query = select(silences).order_by(silences.c.created_at.desc(), silences.c.id.desc()).limit(limit)
        if only_running:
            query = query.where(silences.c.until > tx.now, silences.c.ended_at.is_(None))
        return [from_row(Silence, row) for row in tx.execute(query)]

    def add_delivery(self, tx: Transaction, delivery: Delivery) -> None:
        """A message to be sent; one of this id that is there already stays as it is."""
        tx.execute(self._add_delivery, to_row(delivery))

    def update_delivery(self, tx: Transaction, delivery: Delivery) -> None:
        """Replace a delivery."""
        tx.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(to_row(delivery)))

    def get_delivery(self, tx: Transaction, delivery: str) -> Delivery:
        """One delivery; raises NotFoundError."""
        row = tx.execute(select(deliveries).where(deliveries.c.id == delivery)).one_or_none()
        if row is None:
            hint = "`penstock alerts deliveries` shows them"
            raise NotFoundError(f"there is no delivery {delivery[:100]!r}", hint=hint)
        return from_row(Delivery, row)

    def list_deliveries(self, tx: Transaction, incident: str, status: str, limit: int) -> list[Delivery]:
        """Deliveries, newest first."""
        query = select(deliveries).order_by(deliveries.c.created_at.desc(), deliveries.c.id).limit(limit)
        if incident:
            query = query.where(deliveries.c.incident == incident)
        if status:
            query = query.where(deliveries.c.status == status)
        return [from_row(Delivery, row) for row in tx.execute(query)]

    def list_told(self, tx: Transaction, names: list[str]) -> list[Delivery]:
        """Everything there is to send, or was sent, about these incidents."""
        rows = tx.execute(select(deliveries).where(deliveries.c.incident.in_(names)))
        return [from_row(Delivery, row) for row in rows]

    def list_reached(self, tx: Transaction, names: list[str]) -> list[tuple[str, str]]:
        """The rules whose channel a message about these incidents has reached, as pairs of incident and rule."""
        held = deliveries.c
        query = select(held.incident, held.rule).where(held.incident.in_(names), held.status == "sent").distinct()
        rows: list[Any] = list(tx.execute(query.order_by(held.incident, held.rule)))
        return [(row[0], row[1]) for row in rows]

    def list_due(self, tx: Transaction, deployment: str, limit: int) -> list[Delivery]:
        """What waits and whose time has come, oldest first."""
        held = deliveries.c
        query = select(deliveries).where(held.deployment == deployment, held.status == "waiting")
        query = query.where(held.next_at <= tx.now).order_by(held.created_at, held.id).limit(limit)
        return [from_row(Delivery, row) for row in tx.execute(query)]

    def count_deliveries(self, tx: Transaction) -> dict[str, int]:
        """How many deliveries wait or are dead."""
        query = select(deliveries.c.status, func.count()).where(deliveries.c.status != "sent")
        rows: list[Any] = list(tx.execute(query.group_by(deliveries.c.status)))
        return {"waiting": 0, "dead": 0} | {row[0]: row[1] for row in rows}


def _others(kind: type[Incident] | type[IncidentSignal], *keys: str) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name not in keys)
