"""One transaction, as the verbs see it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from penstock.core.events import Edge, Entry
from penstock.core.identity import Actor
from penstock.core.ids import Ref


class Transaction:
    """What a verb works with: a connection, who acts, and the moment it happens.

    Attributes:
        connection: SQLAlchemy's; verbs never commit or roll back themselves.
        actor: who asked for this.
        now: one moment for the whole transaction, UTC.
        entries: audit entries so far; they join the chain when the group of this transaction commits.
        edges: lineage edges so far; written at the same moment.
    """

    def __init__(self, connection: Connection, actor: Actor, now: datetime) -> None:
        self.connection = connection
        self.actor = actor
        self.now = now
        self.entries: list[Entry] = []
        self.edges: list[Edge] = []

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run one statement, or one for each item of a list of parameters."""
        return self.connection.execute(statement, parameters)

    def record(self, action: str, subject: Ref, /, **detail: Any) -> None:
        """Write down a change of state: `action` is noun.verb; the detail holds before, after and evidence digests."""
        self.entries.append(Entry(action, subject, detail))

    def link(self, source: Ref, target: Ref, relation: str) -> None:
        """Write down that `target` came about from `source`."""
        self.edges.append(Edge(source, target, relation))
