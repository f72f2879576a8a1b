"""Each check holds where it should, and names the rows where it does not."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.ids import Digest
from penstock.core.project.types import CheckSection, DataSection, VolumeBounds
from penstock.datasets.checks import Past, run_checks
from penstock.datasets.frames.table import Table, TableFile, table_of
from penstock.datasets.types import CheckReport, CheckResult

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def check(values: list[Any], *, dtype: Any = None, **rules: Any) -> CheckResult:
    """The one result of one rule on a column `x`, split over two files after its second row."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)})
    return check_frame(frame, CheckSection(column="x", **rules))


def check_frame(frame: pl.DataFrame, section: CheckSection) -> CheckResult:
    first = min(2, frame.height)
    parts = (("one.csv", frame.head(first)), ("two.csv", frame.slice(first)))
    table = Table(tuple(TableFile(path, part.lazy()) for path, part in parts), dict(frame.schema))
    (result,) = report_on(table, DataSection(source="s", checks=(section,))).results
    return result


def report_on(table: Table, data: DataSection, past: Past | None = None) -> CheckReport:
    return run_checks(table, data, tree=Digest("0" * 64), now=NOW, past=past).report


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ([1, 2, None], {"type": "integer"}),
        ([1, 2, 3], {"type": "number"}),
        ([1.0, 2.0], {"type": "integer"}),
        (["1", "-2"], {"type": "integer"}),
        (["1.5", "2e3"], {"type": "number"}),
        (["true", "False"], {"type": "boolean"}),
        (["2026-01-01", "2026-01-02"], {"type": "date"}),
        ([date(2026, 1, 1)], {"type": "datetime"}),
        ([["a"], []], {"type": "list"}),
        ([None, None], {"type": "text"}),
        ([1, 2], {"not_null": True}),
        ([1, None, 14], {"between": (1, 14)}),
        ([1.5, 2.5], {"between": (1, 3)}),
        ([date(2026, 1, 2), None], {"between": ("2026-01-01", "2026-01-02")}),
        (["b", "c"], {"between": ("a", "c")}),
        (["a", "b", None], {"allowed": ("a", "b")}),
        ([1, 2], {"allowed": (1, 2)}),
        ([1.0, 2.0], {"allowed": (1, 2)}),
        ([True, False], {"allowed": (True, False)}),
        ([date(2026, 1, 1)], {"allowed": ("2026-01-01",)}),
        (["ab12", None], {"pattern": "[a-z]+\\d+"}),
        ([12, 34], {"pattern": "\\d\\d"}),
        ([1, 2, None, None], {"unique": True}),
        ([datetime(2026, 1, 31, tzinfo=UTC)], {"max_age": timedelta(days=2)}),
        ([1_769_900_000], {"max_age": timedelta(days=2)}),
    ],
)
def test_good_values_pass(values: list[Any], rules: dict[str, Any]) -> None:
    result = check(values, **rules)
    assert result.passed and result.failed == 0 and result.samples == (), result.message


@pytest.mark.parametrize(
    ("values", "rules", "bad"),
    [
        ([1, 2, 2.5], {"type": "integer"}, [3]),
        (["1", "2", "x", None, "y"], {"type": "integer"}, [3, 5]),
        (["1", "2", "true"], {"type": "boolean"}, [1, 2]),
        (["2026-01-01", "soon"], {"type": "datetime"}, [2]),
        ([1, 2], {"type": "text"}, [1, 2]),
        ([1, None, 3], {"not_null": True}, [2]),
        ([1.0, float("nan")], {"not_null": True}, [2]),
        ([0, 1, 14, 15], {"between": (1, 14)}, [1, 4]),
        ([float("nan"), 1.0], {"between": (0, 2)}, [1]),
        ([date(2025, 12, 31), date(2026, 1, 3)], {"between": ("2026-01-01", "2026-01-02")}, [1, 2]),
        (["a", "c", "B"], {"allowed": ("a", "b")}, [2, 3]),
        ([1, 3], {"allowed": (1, 2)}, [2]),
        (["ab12", "xab12", "ab12 ", "ab"], {"pattern": "[a-z]+\\d+"}, [3, 4]),
        (["a", "b|c", "c"], {"pattern": "a|c"}, [2]),
        ([1, 2, 1, 3, 1], {"unique": True}, [1, 3, 5]),
    ],
)
def test_bad_rows_are_named(values: list[Any], rules: dict[str, Any], bad: list[int]) -> None:
    result = check(values, **rules)
    assert not result.passed and result.blocks
    assert result.failed == len(bad) and result.share == len(bad) / len(values)
    named = [sample.row + (2 if sample.file == "two.csv" else 0) for sample in result.samples]
    assert named == bad
    for sample, row in zip(result.samples, bad, strict=True):
        expected = values[row - 1]
        assert str(sample.value) == (expected.isoformat() if isinstance(expected, date) else str(expected))


@pytest.mark.parametrize(
    ("values", "rules", "told"),
    [
        (["a"], {"between": (1, 2)}, "compares with numbers, and the column is text"),
        ([1], {"between": ("a", "b")}, "compares with texts, and the column is integer"),
        ([date(2026, 1, 1)], {"between": ("x", "y")}, "write 2026-01-31|compares times with 'x'"),
        ([[1]], {"pattern": "a"}, "compares with texts, and the column is list"),
        (["a"], {"pattern": "(?=a)a"}, "cannot be used: look-around, .* is not supported$"),
        (["soon"], {"max_age": timedelta(days=1)}, "its values are no times"),
    ],
)
def test_a_check_that_does_not_suit_its_column_fails_and_says_why(
    values: list[Any], rules: dict[str, Any], told: str
) -> None:
    result = check(values, **rules)
    assert not result.passed and re.search(told, result.message), result.message


def test_an_old_table_is_refused() -> None:
    result = check([datetime(2026, 1, 1, tzinfo=UTC), None], max_age=timedelta(days=7))
    assert not result.passed
    assert "the newest x must be no older than 7 d and is 31 d old" in result.message


@pytest.mark.parametrize(("bounds", "passes"), [((1, 3), True), ((None, 2), False), ((4, None), False)])
def test_the_number_of_rows_is_bounded(bounds: tuple[int | None, int | None], passes: bool) -> None:
    section = CheckSection(volume=VolumeBounds(at_least=bounds[0], at_most=bounds[1]))
    result = check_frame(pl.DataFrame({"x": [1, 2, 3]}), section)
    assert result.passed is passes and "there are 3" in result.message


def test_a_key_of_two_columns_is_checked_together() -> None:
    frame = pl.DataFrame({"order": [1, 1, 2, 2], "line": [1, 2, 1, 1]})
    result = check_frame(frame, CheckSection(column="order, line", unique=True))
    assert result.failed == 2
    assert [(sample.row, sample.value) for sample in result.samples] == [(1, "order=2, line=1"), (2, "order=2, line=1")]


def test_columns_that_the_section_names_must_be_there() -> None:
    frame = pl.DataFrame({"order_id": [1, 1, None], "day": [date(2026, 1, 1), None, None], "y": [1, 2, 3]})
    data = DataSection(source="s", key="order_id", time="day", label="why", sensitive=("race",))
    report = report_on(table_of(frame, "a.csv"), data)
    failed = {result.name: result.failed for result in report.failures}
    assert failed == {"label why": 0, "sensitive race": 0, "key not_null": 1, "key unique": 2, "time not_null": 2}
    assert not report.passed


def test_a_column_that_a_check_names_must_be_there() -> None:
    result = check_frame(pl.DataFrame({"amount": [1]}), CheckSection(column="amout", not_null=True))
    assert not result.passed and result.message == "the column 'amout' is not there; did you mean 'amount'?"


def test_a_table_without_rows_is_refused() -> None:
    report = report_on(table_of(pl.DataFrame({"x": []}), "a.csv"), DataSection(source="s"))
    assert not report.passed and report.results[0].message == "there are no rows"


@given(values=st.lists(st.one_of(st.none(), st.integers(-20, 20)), min_size=1, max_size=40))
def test_counts_agree_with_plain_python(values: list[int | None]) -> None:
    given = [value for value in values if value is not None]
    assert check(values, dtype=pl.Int64, not_null=True).failed == len(values) - len(given)
    assert check(values, dtype=pl.Int64, between=(-5, 5)).failed == sum(not -5 <= value <= 5 for value in given)
    assert check(values, dtype=pl.Int64, unique=True).failed == sum(given.count(value) > 1 for value in given)
    assert check(values, dtype=pl.Int64, allowed=(1, 2, 3)).failed == sum(value not in (1, 2, 3) for value in given)
