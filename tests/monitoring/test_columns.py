"""What a column is to a drift test."""

from datetime import datetime

import polars as pl
import pytest

from penstock.monitoring.columns import ColumnKind, find_kind
from penstock.monitoring.sketches.sketching import sketch_column

DAYS = pl.Series([datetime(2026, 1, day) for day in range(1, 5)])


def kind_of(reference: pl.Series, current: pl.Series) -> ColumnKind:
    return find_kind(sketch_column(reference), sketch_column(current))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pl.Series([0.5, 1.5, 2.5]), "number"),
        (pl.Series([1.0, 2.0, 3.0] * 10), "number"),
        (pl.Series(range(100)), "number"),
        (pl.Series([1, 2, 3] * 10), "category"),
        (pl.Series([True, False]), "category"),
        (pl.Series(["red", "blue"] * 20), "category"),
        (pl.Series(["red", "blue"] * 20, dtype=pl.Categorical), "category"),
        (pl.Series([f"c{n}" for n in range(100)]), "none"),
        (pl.Series([f"i{n % 3} i{n % 5} i{n % 4}" for n in range(60)]), "first"),
        (pl.Series(["New York", "New Delhi", "Los Angeles", "Oslo"] * 9), "category"),
        (pl.Series([["a", "b"], ["c"]]), "category"),
        (pl.Series([{"a": 1}]), "none"),
        (DAYS, "none"),
        (pl.Series([None, None], dtype=pl.Float64), "none"),
    ],
)
def test_the_type_and_the_values_say_how_a_column_is_read(values: pl.Series, kind: str) -> None:
    assert kind_of(values, values).kind == kind


def test_a_column_that_is_not_compared_says_why() -> None:
    assert "names the row" in kind_of(pl.Series([f"c{n}" for n in range(100)]), pl.Series(["c1"])).note
    assert "no row" in kind_of(pl.Series(["a"]), pl.Series([], dtype=pl.String)).note
    assert "time" in kind_of(DAYS, DAYS).note


def test_numbers_that_became_texts_are_of_another_type() -> None:
    kind = kind_of(pl.Series([0.5, 1.5]), pl.Series(["a", "b"]))
    assert (kind.kind, kind.note) == ("type", "texts, where the reference has numbers")


def test_a_column_that_became_empty_stays_what_it_was() -> None:
    nothing = pl.Series([None, None], dtype=pl.Null)
    assert kind_of(pl.Series([0.5, 1.5]), nothing).kind == "number"
    assert kind_of(pl.Series(["a", "b"] * 5), nothing).kind == "category"
