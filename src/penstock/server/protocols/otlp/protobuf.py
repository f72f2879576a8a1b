"""Spans out of OTLP's protobuf form.

Source: opentelemetry-proto 1.x, collector/trace/v1/trace_service.proto and trace/v1/trace.proto; the numbers of the
fields are fixed for good, and those that are not read here are passed over.
"""

import struct
from base64 import b64encode
from typing import Any

from penstock.core.errors import InvalidInputError
from penstock.server.protocols.otlp.limits import DEPTH_LIMIT, SPAN_LIMIT, attribute_number, to_moment_ns
from penstock.server.protocols.otlp.wire import (
    Value,
    read_fields,
    to_bytes,
    to_message,
    to_number,
    to_signed,
    to_text,
)
from penstock.tracking.traces.types import Span, SpanEvent, SpanLink, SpanStatus

_STATUS = {0: SpanStatus.UNSET, 1: SpanStatus.OK, 2: SpanStatus.ERROR}


def read_protobuf(body: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest.

    Raises:
        InvalidInputError: the body is no such message, or is too large or too deep.
    """
    found: list[Span] = []
    for resource in _parts(memoryview(body), 1):  # resource_spans
        for scope in _parts(resource, 2):  # scope_spans
            for span in _parts(scope, 2):  # spans
                if len(found) == SPAN_LIMIT:
                    raise InvalidInputError(f"more than {SPAN_LIMIT} spans in one request", hint="send them in parts")
                found.append(_read_span(span))
    return found


def _parts(message: memoryview, wanted: int) -> list[memoryview]:
    return [to_message(value) for number, value in read_fields(message) if number == wanted]


def _read_span(message: memoryview) -> Span:
    fields: dict[str, Any] = {"trace_id": b"", "span_id": b"", "name": "", "started_ns": 0}
    attributes: dict[str, Any] = {}
    events: list[SpanEvent] = []
    links: list[SpanLink] = []
    parent = b""
    for number, value in read_fields(message):
        match number:
            case 1:
                fields["trace_id"] = to_bytes(value)
            case 2:
                fields["span_id"] = to_bytes(value)
            case 4:
                parent = to_bytes(value)
            case 5:
                fields["name"] = to_text(value)
            case 6:
                fields["kind"] = to_number(value) & 0x7FFF_FFFF
            case 7:
                fields["started_ns"] = to_moment_ns(to_number(value))
            case 8:
                fields["ended_ns"] = to_moment_ns(to_number(value))
            case 9:
                _read_attribute(to_message(value), attributes)
            case 11:
                events.append(_read_event(to_message(value)))
            case 13:
                links.append(_read_link(to_message(value)))
            case 15:
                fields |= _read_status(to_message(value))
    trace_id, span_id = fields["trace_id"], fields["span_id"]
    if len(trace_id) != 16 or len(span_id) != 8 or len(parent) not in (0, 8):
        raise InvalidInputError("a span has a trace id of 16 bytes and a span id of 8 bytes, as its parent has")
    fields |= {"trace_id": f"tr-{trace_id.hex()}", "span_id": span_id.hex(), "parent_id": parent.hex()}
    return Span(**fields, attributes=attributes, events=tuple(events), links=tuple(links))


def _read_event(message: memoryview) -> SpanEvent:
    at_ns, name, attributes = 0, "", dict[str, Any]()
    for number, value in read_fields(message):
        match number:
            case 1:
                at_ns = to_moment_ns(to_number(value))
            case 2:
                name = to_text(value)
            case 3:
                _read_attribute(to_message(value), attributes)
    return SpanEvent(name=name, at_ns=at_ns, attributes=attributes)


def _read_link(message: memoryview) -> SpanLink:
    trace_id, span_id, attributes = "", "", dict[str, Any]()
    for number, value in read_fields(message):
        match number:
            case 1:
                trace_id = to_bytes(value)[:16].hex()
            case 2:
                span_id = to_bytes(value)[:8].hex()
            case 4:
                _read_attribute(to_message(value), attributes)
    return SpanLink(trace_id=trace_id, span_id=span_id, attributes=attributes)


def _read_status(message: memoryview) -> dict[str, Any]:
    status: dict[str, Any] = {}
    for number, value in read_fields(message):
        if number == 2:
            status["message"] = to_text(value)
        elif number == 3:
            status["status"] = _STATUS.get(to_number(value), SpanStatus.UNSET)
    return status


def _read_attribute(message: memoryview, into: dict[str, Any], depth: int = 0) -> None:
    key, held = "", memoryview(b"")
    for number, value in read_fields(message):
        if number == 1:
            key = to_text(value)
        elif number == 2:
            held = to_message(value)
    into[key] = _read_any(held, depth)


def _read_any(message: memoryview, depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise InvalidInputError(f"an attribute is nested more than {DEPTH_LIMIT} deep")
    held: Any = None
    for number, value in read_fields(message):
        held = _read_value(number, value, depth)
    return held


def _read_value(number: int, value: Value, depth: int) -> Any:
    match number:
        case 1:
            return to_text(value)
        case 2:
            return to_number(value) != 0
        case 3:
            return to_signed(value)
        case 4:
            return attribute_number(struct.unpack("<d", to_number(value).to_bytes(8, "little"))[0])
        case 5:
            return [_read_any(item, depth + 1) for item in _parts(to_message(value), 1)]
        case 6:
            into: dict[str, Any] = {}
            for pair in _parts(to_message(value), 1):
                _read_attribute(pair, into, depth + 1)
            return into
        case 7:
            return b64encode(to_bytes(value)).decode()
        case _:
            return None
