"""The records of traces and their spans."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from penstock.core.ids import ExperimentId, Ref


class TraceState(StrEnum):
    """How the traced request went."""

    UNSPECIFIED = "unspecified"
    IN_PROGRESS = "in_progress"
    OK = "ok"
    ERROR = "error"


class SpanStatus(StrEnum):
    """How the work of a span went; unset where nobody said."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class SpanEvent(Struct, frozen=True, kw_only=True):
    """Something that happened at one moment of a span."""

    name: str
    at_ns: int  # since 1970
    attributes: dict[str, Any] = {}


class SpanLink(Struct, frozen=True, kw_only=True):
    """A span of another trace that this one has to do with."""

    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16 hexadecimal digits
    attributes: dict[str, Any] = {}


class Span(Struct, frozen=True, kw_only=True):
    """One piece of work within a traced request."""

    trace_id: str  # tr- and 32 hexadecimal digits
    span_id: str  # 16 hexadecimal digits
    parent_id: str = ""  # empty for the root
    name: str
    kind: int = 0  # as OpenTelemetry numbers them
    started_ns: int  # since 1970
    ended_ns: int = 0  # 0 while it runs
    status: SpanStatus = SpanStatus.UNSET
    message: str = ""
    attributes: dict[str, Any] = {}  # plain JSON values
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()


class Trace(Struct, frozen=True, kw_only=True):
    """One traced request; its spans are read apart."""

    id: str
    experiment_id: ExperimentId
    state: TraceState = TraceState.UNSPECIFIED
    started_at: datetime
    duration_ms: int | None = None  # None while it runs
    client_request_id: str = ""
    request_preview: str = ""
    response_preview: str = ""
    is_announced: bool = True  # False while only its spans have told of it
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}

    @property
    def ref(self) -> Ref:
        """How other nouns point at this trace."""
        return Ref("trace", self.id)


class TracePage(Struct, frozen=True):
    """A part of what a search found."""

    traces: tuple[Trace, ...]
    next: str  # give it as `after` to go on; empty on the last page
