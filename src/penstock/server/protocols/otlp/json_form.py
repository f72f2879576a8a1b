"""Spans out of OTLP's JSON form.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding; ids are hexadecimal, names in camel case.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from penstock.core.errors import InvalidInputError
from penstock.server.protocols.otlp.limits import DEPTH_LIMIT, SPAN_LIMIT, attribute_number, to_moment_ns
from penstock.tracking.traces.types import Span, SpanEvent, SpanLink, SpanStatus

_Hex16 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")]
_Hex8 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{16}$")]
_Hex8OrNone = Annotated[str, Meta(pattern="^([0-9a-fA-F]{16})?$")]
_STATUS = {
    0: SpanStatus.UNSET,
    1: SpanStatus.OK,
    2: SpanStatus.ERROR,
    "STATUS_CODE_UNSET": SpanStatus.UNSET,
    "STATUS_CODE_OK": SpanStatus.OK,
    "STATUS_CODE_ERROR": SpanStatus.ERROR,
}
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")


class _Any(Struct, frozen=True, rename="camel"):
    string_value: str | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    int_value: int | UnsetType = UNSET
    double_value: float | str | UnsetType = UNSET
    array_value: "_Array | UnsetType" = UNSET
    kvlist_value: "_KeyValues | UnsetType" = UNSET
    bytes_value: str | UnsetType = UNSET


class _Array(Struct, frozen=True):
    values: list[_Any] = []


class _KeyValue(Struct, frozen=True):
    key: str
    value: _Any = _Any()


class _KeyValues(Struct, frozen=True):
    values: list[_KeyValue] = []


class _Status(Struct, frozen=True):
    message: str = ""
    code: int | str = 0


class _Event(Struct, frozen=True, rename="camel"):
    time_unix_nano: int = 0
    name: str = ""
    attributes: list[_KeyValue] = []


class _Link(Struct, frozen=True, rename="camel"):
    trace_id: _Hex16
    span_id: _Hex8
    attributes: list[_KeyValue] = []


class _Span(Struct, frozen=True, rename="camel"):
    trace_id: _Hex16
    span_id: _Hex8
    parent_span_id: _Hex8OrNone = ""
    name: str = ""
    kind: int | str = 0
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: list[_KeyValue] = []
    events: list[_Event] = []
    links: list[_Link] = []
    status: _Status = _Status()


class _Scope(Struct, frozen=True):
    spans: list[_Span] = []


class _Resource(Struct, frozen=True, rename="camel"):
    scope_spans: list[_Scope] = []


class _Request(Struct, frozen=True, rename="camel"):
    resource_spans: list[_Resource] = []


def read_json(body: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest.

    Raises:
        InvalidInputError: the body is no such request, or is too large or too deep.
    """
    try:
        request = msgspec.json.decode(body, type=_Request, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"the body is no request of OTLP in JSON: {error}") from error
    found = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    if len(found) > SPAN_LIMIT:
        raise InvalidInputError(f"more than {SPAN_LIMIT} spans in one request", hint="send them in parts")
    return [_to_span(span) for span in found]


def _to_span(given: _Span) -> Span:
    return Span(
        trace_id=f"tr-{given.trace_id.lower()}",
        span_id=given.span_id.lower(),
        parent_id=given.parent_span_id.lower(),
        name=_clean(given.name),
        kind=_to_kind(given.kind),
        started_ns=to_moment_ns(given.start_time_unix_nano),
        ended_ns=to_moment_ns(given.end_time_unix_nano),
        status=_STATUS.get(given.status.code, SpanStatus.UNSET),
        message=_clean(given.status.message),
        attributes=_to_attributes(given.attributes),
        events=tuple(
            SpanEvent(
                name=_clean(event.name),
                at_ns=to_moment_ns(event.time_unix_nano),
                attributes=_to_attributes(event.attributes),
            )
            for event in given.events
        ),
        links=tuple(
            SpanLink(trace_id=link.trace_id, span_id=link.span_id, attributes=_to_attributes(link.attributes))
            for link in given.links
        ),
    )


def _to_kind(kind: int | str) -> int:
    if isinstance(kind, int):
        return kind & 0x7FFF_FFFF
    name = kind.removeprefix("SPAN_KIND_")
    return _KINDS.index(name) if name in _KINDS else 0


def _to_attributes(pairs: list[_KeyValue], depth: int = 0) -> dict[str, Any]:
    return {_clean(pair.key): _to_value(pair.value, depth) for pair in pairs}


def _to_value(value: _Any, depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise InvalidInputError(f"an attribute is nested more than {DEPTH_LIMIT} deep")
    if not isinstance(value.array_value, UnsetType):
        return [_to_value(item, depth + 1) for item in value.array_value.values]
    if not isinstance(value.kvlist_value, UnsetType):
        return _to_attributes(value.kvlist_value.values, depth + 1)
    if not isinstance(value.double_value, UnsetType):
        number = value.double_value
        return _clean(number) if isinstance(number, str) else attribute_number(number)
    if not isinstance(value.int_value, UnsetType):
        return max(min(value.int_value, 2**63 - 1), -(2**63))
    if not isinstance(value.bool_value, UnsetType):
        return value.bool_value
    for text in (value.string_value, value.bytes_value):
        if not isinstance(text, UnsetType):
            return _clean(text)
    return None


def _clean(text: str) -> str:
    """The text without what no database keeps."""
    return text.encode("utf-8", errors="replace").decode().replace("\0", "\ufffd")
