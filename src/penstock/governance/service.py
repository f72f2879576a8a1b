"""The verbs of the ledger: read events with a cursor, verify the chain, walk the lineage graph."""

from typing import Literal

from penstock.core.ids import Digest, Ref
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.ledger import FIRST_PREVIOUS, chain_digest
from penstock.governance.store import GovernanceStore
from penstock.governance.types import AuditEvent, AuditReport, Lineage, LineageEdge
from penstock.storage.database import Database
from penstock.storage.references import list_kept
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import reads

MAXIMUM_PROBLEMS = 20
MAXIMUM_EDGES = 10_000
REFS_PER_QUERY = 500


class GovernanceService:
    """Reads what the ledger wrote."""

    noun = "governance"

    def __init__(self, db: Database, checkpoints: CheckpointLog | None = None) -> None:
        self.db = db
        self._checkpoints = checkpoints
        self._store = GovernanceStore()

    @reads
    def list_events(
        self,
        tx: Transaction,
        after: int = 0,
        limit: int = 100,
        action: str = "",
        subject: str = "",
        newest_first: bool = False,
    ) -> list[AuditEvent]:
        """Audit events with a number above `after`; a consumer keeps the last number it saw as its cursor.

        Args:
            after: events up to this number are left out.
            limit: at most this many, 1 to 1000.
            action: only this action, such as `registry.move_alias`.
            subject: only events about this `kind:id`.
            newest_first: turn the order round.
        """
        ref = Ref.parse(subject) if subject else None
        actions = [action] if action else []
        return self._store.list_events(tx, after, min(max(limit, 1), 1000), actions, ref, newest_first)

    @reads
    def head(self, tx: Transaction) -> int:
        """The number of the newest event; it grows with every change of state."""
        return self._store.head(tx)

    @reads
    def verify_audit(self, tx: Transaction) -> AuditReport:
        """Recompute the whole chain and hold it against the signed checkpoints."""
        problems: list[str] = []
        checkpoints = self._checkpoints.read() if self._checkpoints else []
        wanted = {checkpoint.number: checkpoint for checkpoint in checkpoints}
        previous, count = FIRST_PREVIOUS, 0
        for event in self._store.iterate_events(tx):
            count += 1
            problems.extend(_compare(event, count, previous))
            checkpoint = wanted.get(event.number)
            if checkpoint is not None and checkpoint.digest != event.digest:
                problems.append(f"event {event.number} is not the one that was signed: the chain was rebuilt")
            previous = event.digest
            if len(problems) >= MAXIMUM_PROBLEMS:
                break
        else:
            problems.extend(self._compare_tail(count, list(wanted)))
        unsigned = [c.number for c in checkpoints if self._checkpoints and not self._checkpoints.is_signed(c)]
        problems.extend(f"checkpoint {number} has a wrong signature" for number in unsigned[:MAXIMUM_PROBLEMS])
        return AuditReport(count, len(checkpoints), problems[:MAXIMUM_PROBLEMS])

    @reads
    def list_kept_objects(self, tx: Transaction) -> list[Digest]:
        """Every object that something refers to, and that therefore has to be in the object store."""
        return sorted({digest for _, digest in list_kept(tx)})

    @reads
    def trace_lineage(self, tx: Transaction, ref: str, direction: Literal["up", "down"] = "up") -> Lineage:
        """Everything that `ref` came from (up), or that came from it (down); at most 10,000 edges.

        `prediction:ID` starts from the segment of the prediction log that holds it.
        """
        start = Ref.parse(ref).traced
        seen, frontier = {start}, [start]
        edges: list[LineageEdge] = []
        while frontier and len(edges) < MAXIMUM_EDGES:
            step = [
                edge
                for first in range(0, len(frontier), REFS_PER_QUERY)
                for edge in self._store.list_edges(
                    tx, frontier[first : first + REFS_PER_QUERY], upstream=direction == "up"
                )
            ]
            edges.extend(step)
            reached = {edge.source if direction == "up" else edge.target for edge in step}
            frontier = sorted(reached - seen)
            seen |= reached
        return Lineage(start, edges[:MAXIMUM_EDGES])

    @staticmethod
    def _compare_tail(count: int, signed: list[int]) -> list[str]:
        last = max(signed, default=0)
        if last > count:
            return [f"events {count + 1} to {last} are missing: they were signed, and are gone"]
        return []


def _compare(event: AuditEvent, expected_number: int, previous: str) -> list[str]:
    problems = []
    if event.number != expected_number:
        problems.append(f"event {event.number} stands where event {expected_number} should be")
    if event.previous != previous:
        problems.append(f"event {event.number} does not follow the event before it")
    if chain_digest(event) != event.digest:
        problems.append(f"event {event.number} ({event.action} of {event.subject}) was altered")
    return problems
