"""Writes OTLP's protobuf messages, from the specification and apart from the code that reads them."""

import struct
from typing import Any


def encode_request(trace_id: str, spans: list[dict[str, Any]]) -> bytes:
    """An ExportTraceServiceRequest with these spans in one scope."""
    resource = _bytes(1, _bytes(1, _attribute("service.name", "shop")))
    scope = _bytes(1, _text(1, "tests")) + b"".join(_bytes(2, _span(trace_id, span)) for span in spans)
    return _bytes(1, resource + _bytes(2, scope) + _text(3, "https://schema"))


def _span(trace_id: str, span: dict[str, Any]) -> bytes:
    pieces = [
        _bytes(1, bytes.fromhex(trace_id)),
        _bytes(2, bytes.fromhex(span["span_id"])),
        _text(3, "state=1"),
        _bytes(4, bytes.fromhex(span.get("parent_id", ""))),
        _text(5, span["name"]),
        _fixed64(7, span["start"]),
        _fixed64(8, span["end"]),
        *(_bytes(9, _attribute(key, value)) for key, value in span.get("attributes", {}).items()),
    ]
    for name, at, attributes in span.get("events", ()):
        held = b"".join(_bytes(3, _attribute(key, value)) for key, value in attributes.items())
        pieces.append(_bytes(11, _fixed64(1, at) + _text(2, name) + held))
    for linked_trace, linked_span in span.get("links", ()):
        pieces.append(_bytes(13, _bytes(1, bytes.fromhex(linked_trace)) + _bytes(2, bytes.fromhex(linked_span))))
    pieces.append(_bytes(15, _text(2, span.get("message", "")) + _varint_field(3, span.get("status", 0))))
    pieces.append(_tag(16, 5) + struct.pack("<I", 257))
    return b"".join(pieces)


def _attribute(key: str, value: Any) -> bytes:
    return _text(1, key) + _bytes(2, _any(value))


def _any(value: Any) -> bytes:
    match value:
        case None:
            return b""
        case bool():
            return _varint_field(2, int(value))
        case str():
            return _text(1, value)
        case int():
            return _varint_field(3, value % 2**64)
        case float():
            return _tag(4, 1) + struct.pack("<d", value)
        case list():
            return _bytes(5, b"".join(_bytes(1, _any(item)) for item in value))
        case dict():
            return _bytes(6, b"".join(_bytes(1, _attribute(key, item)) for key, item in value.items()))
        case bytes():
            return _bytes(7, value)
    raise TypeError(type(value))


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, body: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(body)) + body


def _fixed64(number: int, value: int) -> bytes:
    return _tag(number, 1) + struct.pack("<Q", value)


def _varint_field(number: int, value: int) -> bytes:
    return _tag(number, 0) + _varint(value)


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
