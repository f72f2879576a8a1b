"""The end of every group of writes: audit entries join the hash chain, lineage edges are kept."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from blake3 import blake3
from sqlalchemy import Connection, insert

from penstock.core import codec
from penstock.core.ids import Ref
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.tables import audit_events, lineage_edges
from penstock.governance.types import AuditEvent
from penstock.storage.columns import to_microseconds
from penstock.storage.database import Database
from penstock.storage.records import Prepared, fetch
from penstock.storage.transaction import Transaction

FIRST_PREVIOUS = "0" * 64
_Sealed = tuple[int, int, str, str, str, str, str, str]  # the columns of an event up to its digest


def chain_digest(event: AuditEvent) -> str:
    """BLAKE3 over canonical JSON of every field but the digest itself; times count as microseconds."""
    subject, detail = event.subject, codec.encode_text(event.detail)
    at = to_microseconds(event.at)
    return _digest((event.number, at, event.actor, event.action, subject.kind, subject.id, detail, event.previous))


def _digest(fields: _Sealed) -> str:
    return blake3(codec.encode(fields)).hexdigest()


class Ledger:
    """Attached to a database, it runs last in each group of writes."""

    def __init__(self, db: Database, checkpoints: CheckpointLog | None) -> None:
        dialect = db.engine.dialect
        edges = db.upsert(lineage_edges, keys=("source", "target", "relation"), update=())
        self._add_events = Prepared(dialect, insert(audit_events), audit_events.c.keys())
        self._add_edges = Prepared(dialect, edges, lineage_edges.c.keys())
        self._checkpoints = checkpoints
        db.on_group(self.append_group)

    def append_group(
        self, connection: Connection, now: datetime, transactions: Sequence[Transaction]
    ) -> Callable[[], None] | None:
        """Give the entries of a group their places in the chain; the result signs a checkpoint after the commit."""
        changed = [tx for tx in transactions if tx.entries or tx.edges]
        if not changed:
            return None
        entries = [(tx.actor.name, entry) for tx in changed for entry in tx.entries]
        edges = [edge for tx in changed for edge in tx.edges]
        at = to_microseconds(now)
        number, digest = _head(connection)
        rows = []
        for actor, entry in entries:
            number += 1
            detail = codec.encode_text(codec.to_builtins(entry.detail))
            fields = (number, at, actor, entry.action, entry.subject.kind, entry.subject.id, detail, digest)
            digest = _digest(fields)
            rows.append((*fields, digest))
        self._add_events.many(connection, rows)
        edge_rows = [(str(edge.source), str(edge.target), edge.relation, at, number) for edge in edges]
        self._add_edges.many(connection, edge_rows)
        if not rows or self._checkpoints is None:
            return None
        checkpoints = self._checkpoints
        return lambda: checkpoints.append(number, digest)


def _head(connection: Connection) -> tuple[int, str]:
    newest = "SELECT number, digest FROM audit_events ORDER BY number DESC LIMIT 1"
    return next(iter(fetch(connection, newest, ())), (0, FIRST_PREVIOUS))


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
