"""The end of every group of writes: audit entries join the hash chain, lineage edges are kept."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from blake3 import blake3
from sqlalchemy import Connection, func, select

from penstock.core import codec
from penstock.core.events import Edge
from penstock.core.ids import Ref
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.tables import audit_events, lineage_edges
from penstock.governance.types import AuditEvent
from penstock.storage.columns import to_microseconds
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

FIRST_PREVIOUS = "0" * 64


def chain_digest(event: AuditEvent) -> str:
    """BLAKE3 over canonical JSON of every field but the digest itself; times count as microseconds."""
    fields = [
        event.number,
        to_microseconds(event.at),
        event.actor,
        event.action,
        event.subject.kind,
        event.subject.id,
        codec.encode_text(event.detail),
        event.previous,
    ]
    return blake3(codec.encode(fields)).hexdigest()


class Ledger:
    """Attached to a database, it runs last in each group of writes."""

    def __init__(self, db: Database, checkpoints: CheckpointLog | None) -> None:
        self._edges = db.upsert(lineage_edges, keys=("source", "target", "relation"), update=())
        self._checkpoints = checkpoints
        db.on_group(self.append_group)

    def append_group(
        self, connection: Connection, now: datetime, transactions: Sequence[Transaction]
    ) -> Callable[[], None] | None:
        """Give the entries of a group their places in the chain; the result signs a checkpoint after the commit."""
        entries = [(tx.actor.name, entry) for tx in transactions for entry in tx.entries]
        edges = [edge for tx in transactions for edge in tx.edges]
        if not entries and not edges:
            return None
        number, digest = _head(connection)
        rows = []
        for actor, entry in entries:
            number += 1
            unsealed = AuditEvent(
                number=number,
                at=now,
                actor=actor,
                action=entry.action,
                subject=entry.subject,
                detail=codec.to_builtins(entry.detail),
                previous=digest,
                digest="",
            )
            digest = chain_digest(unsealed)
            rows.append(_event_row(unsealed, digest))
        if rows:
            connection.execute(audit_events.insert(), rows)
        if edges:
            connection.execute(self._edges, [_edge_row(edge, now, number) for edge in edges])
        if not rows or self._checkpoints is None:
            return None
        checkpoints = self._checkpoints
        return lambda: checkpoints.append(number, digest)


def _event_row(event: AuditEvent, digest: str) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in event.__struct_fields__ if name != "subject"}
    return row | {"subject_kind": event.subject.kind, "subject_id": event.subject.id, "digest": digest}


def _edge_row(edge: Edge, now: datetime, event: int) -> dict[str, Any]:
    return {
        "source": str(edge.source),
        "target": str(edge.target),
        "relation": edge.relation,
        "at": now,
        "event": event,
    }


def _head(connection: Connection) -> tuple[int, str]:
    newest = select(func.max(audit_events.c.number)).scalar_subquery()
    row = connection.execute(
        select(audit_events.c.number, audit_events.c.digest).where(audit_events.c.number == newest)
    ).one_or_none()
    return (0, FIRST_PREVIOUS) if row is None else (row.number, row.digest)


def event_from_row(row: Any) -> AuditEvent:
    """The event that a row of `audit_events` holds."""
    return AuditEvent(
        number=row.number,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=Ref(row.subject_kind, row.subject_id),
        detail=row.detail,
        previous=row.previous,
        digest=row.digest,
    )
