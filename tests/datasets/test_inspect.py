"""What a newcomer's table is taken for, and why."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import read_table
from penstock.datasets.inspect import inspect_table

ROWS = 200
SHOP = pl.DataFrame(
    {
        "OrderID": range(1000, 1000 + ROWS),
        "created_at": [datetime(2026, 1, 1) + timedelta(hours=n) for n in range(ROWS)],
        "shipped": [date(2026, 1, 2)] * ROWS,
        "country": ["NL", "DE", "FR", "NL"] * (ROWS // 4),
        "amount": [n * 1.5 for n in range(ROWS)],
        "name": [f"customer {n}" for n in range(ROWS)],
        "currency": ["EUR"] * ROWS,
        "empty": pl.Series([None] * ROWS, dtype=pl.String),
        "tags": [["a"]] * ROWS,
        "refunded": [n % 3 == 0 for n in range(ROWS)],
        "refund_reason": ["late" if n % 3 == 0 else "none" for n in range(ROWS)],
        "stars": [n % 5 for n in range(ROWS)],
    }
)


def test_each_column_has_a_use_and_a_reason() -> None:
    found = inspect_table(SHOP, "refunded")
    assert {column.name: column.role for column in found.columns} == {
        "OrderID": "key",
        "created_at": "time",
        "shipped": "unusable",
        "country": "feature",
        "amount": "feature",
        "name": "identifier",
        "currency": "constant",
        "empty": "constant",
        "tags": "unusable",
        "refunded": "label",
        "refund_reason": "feature",
        "stars": "feature",
    }
    reasons = {column.name: column.reason for column in found.columns}
    assert reasons["currency"] == "every value is 'EUR'"
    assert reasons["name"] == "200 different texts in 200 rows: they name things"
    assert reasons["country"] == "a category with 3 different values"
    assert (found.time, found.key, found.rows) == ("created_at", "OrderID", ROWS)
    assert found.features == ("country", "amount", "refund_reason", "stars")
    assert found.warnings == ("refund_reason alone gives refunded away; make sure it is known before refunded is",)


@pytest.mark.parametrize(
    ("label", "task", "reason"),
    [
        ("refunded", "binary", "refunded has two values: False and True"),
        ("country", "multiclass", "country names one of 3 classes"),
        ("stars", "multiclass", "stars has 5 whole numbers as values; say regression if they are amounts"),
        ("amount", "regression", "amount is a number with 200 values"),
    ],
)
def test_the_task_follows_from_the_label(label: str, task: str, reason: str) -> None:
    found = inspect_table(SHOP, label)
    assert (found.task, found.task_reason) == (task, reason)


def test_a_label_that_says_nothing_is_warned_about() -> None:
    found = inspect_table(pl.DataFrame({"x": [1, 2], "y": [None, None]}), "y")
    assert "2 rows have no y; they cannot be learnt from" in found.warnings
    assert "y does not tell rows apart, so there is nothing to predict yet" in found.warnings
    assert "no column holds times; rows are taken in the order of the file" in found.warnings


def test_times_written_as_text_are_times() -> None:
    frame = pl.DataFrame({"when": ["2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z"], "y": [0, 1]})
    assert inspect_table(frame, "y").time == "when"


def test_a_name_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="no column 'refund'; did you mean 'refunded'"):
        inspect_table(SHOP, "refund")


@pytest.mark.skipif("PENSTOCK_DATA" not in os.environ, reason="PENSTOCK_DATA names no folder of data sets")
@pytest.mark.parametrize(
    ("name", "label", "task", "time"),
    [
        ("bank_marketing", "y", "binary", None),
        ("adult_income", "class", "binary", None),
        ("bike_hourly", "cnt", "regression", "dteday"),
        ("occupancy", "Occupancy", "binary", "date"),
    ],
)
def test_real_tables_are_understood(name: str, label: str, task: str, time: str | None) -> None:
    found = inspect_table(read_table(Path(os.environ["PENSTOCK_DATA"]) / f"{name}.parquet"), label)
    assert (found.task, found.time) == (task, time)
