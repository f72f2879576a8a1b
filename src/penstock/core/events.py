"""What a change leaves behind in its own transaction: an audit entry, which is also the event, and lineage edges."""

from typing import Any

from msgspec import Struct

from penstock.core.ids import Ref


class Entry(Struct, frozen=True):
    """One change of state, before it is given its place in the audit chain."""

    action: str  # noun.verb, such as registry.move_alias
    subject: Ref
    detail: dict[str, Any]


class Edge(Struct, frozen=True):
    """`target` came about from `source`; `relation` says how: read, wrote, trained, evaluated, served ..."""

    source: Ref
    target: Ref
    relation: str
