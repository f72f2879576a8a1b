"""The records of the ledger."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from penstock.core.ids import Ref


class AuditEvent(Struct, frozen=True, kw_only=True):
    """One change of state at its place in the chain; also the event that higher rungs react to."""

    number: int  # 1, 2, 3 ... without holes
    at: datetime  # UTC
    actor: str
    action: str  # noun.verb
    subject: Ref
    detail: dict[str, Any]
    previous: str  # digest of event number - 1; 64 zeros for the first
    digest: str  # BLAKE3 over all of the above


class AuditCheckpoint(Struct, frozen=True):
    """A signed statement that the chain stood at `digest` when it had `number` events; kept outside the database."""

    number: int
    digest: str
    signature: str  # Ed25519 over "number:digest", hexadecimal


class AuditReport(Struct, frozen=True):
    """What verifying the chain found."""

    events: int
    checkpoints: int
    problems: list[str]  # in plain words; empty when the chain is whole

    @property
    def is_whole(self) -> bool:
        """Whether nothing was edited, removed, added or reordered."""
        return not self.problems


class LineageEdge(Struct, frozen=True, kw_only=True):
    """`target` came about from `source`."""

    source: Ref
    target: Ref
    relation: str
    at: datetime
    event: int  # the number of the last audit event of the same group


class Lineage(Struct, frozen=True):
    """Everything that can be reached from one thing, upstream or downstream."""

    start: Ref
    edges: list[LineageEdge]

    @property
    def refs(self) -> set[Ref]:
        """The things reached, the start included."""
        return {self.start} | {edge.source for edge in self.edges} | {edge.target for edge in self.edges}
