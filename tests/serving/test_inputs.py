"""Rows of a request against a signature: what fits comes back as it went in, what does not is named."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import Column
from penstock.serving.inputs import MAXIMUM_ROWS, InputDecoder

COLUMNS = [Column("age", "long"), Column("a b.c", "string"), Column("score", "double", required=False)]
DECODER = InputDecoder(COLUMNS)
ROW = st.fixed_dictionaries(
    {"age": st.integers(-(2**63), 2**63 - 1), "a b.c": st.text(st.characters(exclude_categories=["Cs"]))},
    optional={"score": st.none() | st.floats(allow_nan=False, allow_infinity=False)},
)


@given(st.lists(ROW, min_size=1, max_size=5))
def test_what_fits_is_read_as_it_was_written(rows: list[dict]) -> None:
    read = DECODER.read_json(msgspec.json.encode(rows), "rows", strict=True)
    frame = read.frame()
    assert frame.columns == ["age", "a b.c", "score"]
    assert frame.to_dicts() == [{"score": None} | row for row in rows]
    assert [msgspec.json.decode(text)["age"] for text in read.texts()] == [row["age"] for row in rows]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"a b.c": "x"}, "age"),
        ({"age": 2**63, "a b.c": "x"}, "age"),
        ({"age": "7", "a b.c": "x"}, "age"),
        ({"age": 7, "a b.c": None}, "a b.c"),
        ({"age": 7, "a b.c": "x", "agee": 1}, "agee"),
    ],
)
def test_what_does_not_fit_is_named_with_its_row(row: dict, told: str) -> None:
    good = {"age": 1, "a b.c": ""}
    with pytest.raises(InvalidInputError) as caught:
        DECODER.read_json(msgspec.json.encode([good, row]), "rows", strict=True)
    assert told in caught.value.field and "1" in caught.value.field


def test_a_time_without_a_zone_is_utc() -> None:
    decoder = InputDecoder([Column("at", "datetime")])
    read = decoder.read_json(
        b'[{"at": "2026-03-01T12:00:00"}, {"at": "2026-03-01T13:00:00+01:00"}]', "rows", strict=True
    )
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert read.frame()["at"].to_list() == [noon, noon]


@pytest.mark.parametrize("count", [0, MAXIMUM_ROWS + 1])
def test_no_rows_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(InvalidInputError, match="rows"):
        DECODER.read_json(msgspec.json.encode([{"age": 1, "a b.c": ""}] * count), "rows", strict=True)
