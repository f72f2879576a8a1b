"""The SQL of the ledger; a query per method."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select

from penstock.core.ids import Ref
from penstock.governance.ledger import event_from_row
from penstock.governance.tables import audit_events, lineage_edges
from penstock.governance.types import AuditEvent, LineageEdge
from penstock.storage.transaction import Transaction

PAGE = 5_000


class GovernanceStore:
    """Reads audit events and lineage edges."""

    def iterate_events(self, tx: Transaction) -> Iterator[AuditEvent]:
        """Every event in order of number, a page at a time."""
        last = -(2**62)
        while True:
            query = select(audit_events).where(audit_events.c.number > last).order_by(audit_events.c.number)
            rows = tx.execute(query.limit(PAGE)).all()
            if not rows:
                return
            for row in rows:
                yield event_from_row(row)
            last = rows[-1].number

    def list_events(
        self, tx: Transaction, after: int, limit: int, actions: Sequence[str], subject: Ref | None, newest_first: bool
    ) -> list[AuditEvent]:
        """Events after a number, oldest or newest first."""
        query = select(audit_events).where(audit_events.c.number > after).limit(limit)
        if actions:
            query = query.where(audit_events.c.action.in_(actions))
        if subject is not None:
            query = query.where(audit_events.c.subject_id == subject.id, audit_events.c.subject_kind == subject.kind)
        order = audit_events.c.number.desc() if newest_first else audit_events.c.number
        return [event_from_row(row) for row in tx.execute(query.order_by(order))]

    def head(self, tx: Transaction) -> int:
        """The number of the newest event; 0 when there is none."""
        return tx.execute(select(func.max(audit_events.c.number))).scalar() or 0

    def list_edges(self, tx: Transaction, refs: Sequence[Ref], *, upstream: bool) -> list[LineageEdge]:
        """The edges that lead to (upstream) or from any of these things."""
        column = lineage_edges.c.target if upstream else lineage_edges.c.source
        query = select(lineage_edges).where(column.in_([str(ref) for ref in refs])).order_by(lineage_edges.c.at)
        return [
            LineageEdge(
                source=Ref.parse(row.source),
                target=Ref.parse(row.target),
                relation=row.relation,
                at=row.at,
                event=row.event,
            )
            for row in tx.execute(query)
        ]
