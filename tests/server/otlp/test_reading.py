"""What the readers of OTLP do with messages that are right, and with any bytes at all."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.server.protocols.otlp.json_form import read_json
from penstock.server.protocols.otlp.limits import DEPTH_LIMIT
from penstock.server.protocols.otlp.protobuf import read_protobuf
from penstock.tracking.traces.types import Span
from server.otlp.messages import encode_request

HEX = "5b8efff798038103d269b633813fc60c"
SPAN = {"span_id": "aa" * 8, "name": "x", "start": 1, "end": 2}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def read_one(attributes: dict[str, Any]) -> Span:
    (span,) = read_protobuf(encode_request(HEX, [SPAN | {"attributes": attributes}]))
    return span


def as_json(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [as_json(item) for item in value]}}
        case _:
            return {"kvlistValue": {"values": [{"key": key, "value": as_json(each)} for key, each in value.items()]}}


@given(value=values)
def test_every_value_is_read_as_it_was_written(value: Any) -> None:
    assert read_one({"v": value}).attributes == {"v": value}
    span = {"traceId": HEX, "spanId": "aa" * 8, "attributes": [{"key": "v", "value": as_json(value)}]}
    (read,) = read_json(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode())
    assert read.attributes == {"v": value}


@given(body=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_protobuf, read_json):
        with contextlib.suppress(InvalidInputError):
            read(body)


@given(place=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_a_damaged_message_is_read_or_refused(place: int, byte: int, cut: int) -> None:
    attributes = {"a": [1, {"b": "text"}], "c": 2.5, "d": b"xyz"}
    body = bytearray(encode_request(HEX, [SPAN | {"attributes": attributes, "events": [("e", 1, {"k": True})]}]))
    body[place % len(body)] = byte
    with contextlib.suppress(InvalidInputError):
        read_protobuf(bytes(body[: len(body) - cut % len(body)]))


def test_numbers_that_json_lacks_are_kept_by_name() -> None:
    assert read_one({"v": [math.nan, math.inf, -math.inf]}).attributes == {"v": ["NaN", "Infinity", "-Infinity"]}


def test_bytes_become_base64_and_nul_the_replacement_character() -> None:
    assert read_one({"v": b"\x00\x01", "t": "a\0b"}).attributes == {"v": "AAE=", "t": "a\ufffdb"}


def test_a_nest_without_end_is_refused() -> None:
    value: Any = 1
    for _ in range(DEPTH_LIMIT):
        value = [value]
    assert read_one({"v": value}).attributes == {"v": value}
    with pytest.raises(InvalidInputError, match="nested"):
        read_one({"v": [[value]]})
    span = {"traceId": HEX, "spanId": "aa" * 8, "attributes": [{"key": "v", "value": as_json([[value]])}]}
    with pytest.raises(InvalidInputError, match="nested"):
        read_json(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode())
