"""What a column is to a drift test, and what is read from it."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.monitoring.columns import ColumnKind, find_kind, read_labels, read_numbers

DAYS = pl.Series([datetime(2026, 1, day) for day in range(1, 5)])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pl.Series([0.5, 1.5, 2.5]), "number"),
        (pl.Series(range(100)), "number"),
        (pl.Series([1, 2, 3] * 10), "category"),
        (pl.Series([True, False]), "category"),
        (pl.Series(["red", "blue"] * 20), "category"),
        (pl.Series([f"c{n}" for n in range(100)]), "none"),
        (pl.Series(["i1 i2", "i3 i4 i5", "i1"] * 9), "first"),
        (pl.Series([["a", "b"], ["c"]]), "first"),
        (DAYS, "none"),
        (pl.Series([None, None], dtype=pl.Float64), "none"),
    ],
)
def test_the_type_and_the_values_say_how_a_column_is_read(values: pl.Series, kind: str) -> None:
    assert find_kind(values, values).kind == kind


def test_a_column_that_is_not_compared_says_why() -> None:
    assert "names the row" in find_kind(pl.Series([f"c{n}" for n in range(100)]), pl.Series(["c1"])).note
    assert "no value" in find_kind(pl.Series(["a"]), pl.Series([], dtype=pl.String)).note
    assert "time" in find_kind(DAYS, DAYS).note


def test_of_a_list_the_newest_item_is_read() -> None:
    first = ColumnKind("first")
    assert read_labels(pl.Series(["i3 i1", " i2", "", None]), first).to_list() == ["i3", "i2", None, None]
    assert read_labels(pl.Series([["i3", "i1"], [], None]), first).to_list() == ["i3", None, None]


@given(st.lists(st.none() | st.floats()))
def test_numbers_are_finite_or_missing(values: list[float | None]) -> None:
    read = read_numbers(pl.Series(values, dtype=pl.Float64))
    known = [value for value in values if value is not None and np.isfinite(value)]
    assert len(read) == len(values)
    assert read[~np.isnan(read)].tolist() == known
