"""JSON is canonical going out, strict coming in, and a mistake names its field."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import InvalidInputError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    step: int
    value: float


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    run: str
    first: Point
    points: list[Point] = []
    at: datetime | None = None


@given(VALUES)
def test_what_goes_out_comes_back_equal(value: object) -> None:
    text = codec.encode(value)
    if not _holds_infinity(value):
        assert codec.decode(text, object) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=2, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert codec.encode(value) == codec.encode(dict(reversed(value.items())))


def test_numbers_that_json_lacks_become_null() -> None:
    assert codec.encode([float("nan"), float("inf")]) == b"[null,null]"


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_our_own_words(body: bytes) -> None:
    try:
        codec.decode(body, Batch)
    except InvalidInputError as refusal:
        assert refusal.message


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not valid JSON"):
        codec.decode(b"[" * 100_000, object)


def test_a_wrong_type_names_its_place() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        codec.decode(b'{"run": "a", "first": {"step": 1, "value": 1}, "points": [{"step": "two", "value": 1}]}', Batch)
    assert refusal.value.field == "points[0].step" or refusal.value.field == "points[...].step"
    assert "expected `int`" in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "field", "nearest"),
    [
        ('{"run": "a", "first": {"step": 1, "value": 1}, "pionts": []}', "pionts", "points"),
        ('{"run": "a", "first": {"step": 1, "value": 1, "valeu": 2}}', "first.valeu", "value"),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest_known_one(body: str, field: str, nearest: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        codec.decode(body, Batch)
    assert refusal.value.field == field
    assert f"did you mean {nearest!r}?" in str(refusal.value)


def test_text_becomes_numbers_only_where_that_is_asked_for() -> None:
    assert codec.convert({"step": "3", "value": "0.5"}, Point, strict=False) == Point(3, 0.5)
    with pytest.raises(InvalidInputError):
        codec.convert({"step": "3", "value": "0.5"}, Point)


def test_records_become_plain_values() -> None:
    batch = Batch("a", Point(1, 2.0), at=datetime(2026, 1, 1, tzinfo=UTC))
    plain = codec.to_builtins(batch)
    assert plain["first"] == {"step": 1, "value": 2.0}
    assert codec.convert(plain, Batch) == batch


def test_without_a_near_name_all_known_ones_are_listed() -> None:
    assert codec.nearest_hint("zzz", ["b", "a"]) == "known here: a, b"
    assert codec.nearest_hint("zzz", []) == ""


def _holds_infinity(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_infinity, value.values()))
    if isinstance(value, list):
        return any(map(_holds_infinity, value))
    return value in (float("inf"), float("-inf"))
