"""Checks over several rows, columns and versions: keys, order, conditions, columns, volume, distribution."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest
from penstock.core.project.types import CheckSection, DataSection, DistributionBounds, VolumeBounds
from penstock.datasets.checks import Checked, Past, run_checks, spill
from penstock.datasets.frames.table import Table, TableFile, table_of
from penstock.datasets.profile import profile_frame
from penstock.datasets.schema import infer_schema
from penstock.datasets.types import CheckResult, DatasetVersion, Roles

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def run(frame: pl.DataFrame, check: CheckSection, past: Past | None = None, *, rows: int = 3) -> Checked:
    """The check on a table of files of so many rows each."""
    pieces = list(frame.iter_slices(rows)) or [frame]
    table = Table(tuple(TableFile(f"{n}.csv", piece.lazy()) for n, piece in enumerate(pieces)), dict(frame.schema))
    return run_checks(table, DataSection(source="s", checks=(check,)), tree=Digest("0" * 64), now=NOW, past=past)


def result(frame: pl.DataFrame, check: CheckSection, past: Past | None = None) -> CheckResult:
    (found,) = run(frame, check, past).report.results
    return found


def failed_rows(frame: pl.DataFrame, check: CheckSection) -> list[int]:
    """The rows of the table, from 0, that a quarantining check marks."""
    marks = run(frame, check).marks
    return marks[0][1].within(0, frame.height).tolist() if marks else []


@pytest.fixture(params=["in memory", "on disk"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that stay in memory, or are written to disk with every batch."""
    monkeypatch.setattr(spill, "HELD", 10**9 if request.param == "in memory" else 0)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("dtype", [pl.Int64, pl.String, pl.Float64])
def test_a_key_that_stands_twice_is_found_in_whichever_file(dtype: Any) -> None:
    keys = pl.Series("k", [1, 2, 3, 4, None, 2, 5, None, 2, 1], dtype=pl.Int64).cast(dtype)
    check = CheckSection(column="k", unique=True, action="quarantine")
    found = result(pl.DataFrame({"k": keys}), check)
    assert (found.failed, found.passed) == (5, False)
    assert [(s.file, s.row) for s in found.samples] == [
        ("0.csv", 1),
        ("0.csv", 2),
        ("1.csv", 3),
        ("2.csv", 3),
        ("3.csv", 1),
    ]
    assert failed_rows(pl.DataFrame({"k": keys}), check) == [0, 1, 5, 8, 9]


@pytest.mark.usefixtures("held")
def test_the_parts_of_a_key_count_together() -> None:
    frame = pl.DataFrame({"order": [1, 1, 2, 2, 2], "line": ["a", "b", "a", "a", None]})
    found = result(frame, CheckSection(columns=("order", "line"), unique=True))
    assert (found.name, found.failed) == ("order, line unique", 2)
    assert found.samples[0].value == "order=2, line=a"


@given(st.lists(st.one_of(st.none(), st.text("ab\n,", max_size=2)), max_size=40), st.booleans())
def test_unique_agrees_with_plain_python(keys: list[str | None], on_disk: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "HELD", 0 if on_disk else 10**9)
        marked = failed_rows(
            pl.DataFrame({"k": pl.Series(keys, dtype=pl.String)}),
            CheckSection(column="k", unique=True, action="quarantine"),
        )
    assert marked == [n for n, key in enumerate(keys) if key is not None and keys.count(key) > 1]


def others(**tables: pl.DataFrame) -> Past:
    def read(dataset: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        if dataset not in tables:
            raise NotFoundError(f"there is no dataset {dataset!r}")
        yield from tables[dataset].select(columns).iter_slices(2)

    return Past(read_columns=read)


@pytest.mark.usefixtures("held")
def test_every_value_stands_in_the_other_dataset() -> None:
    past = others(customers=pl.DataFrame({"id": pl.Series([1, 2, 3, 3, None], dtype=pl.Int32), "land": ["x"] * 5}))
    frame = pl.DataFrame({"customer": [1, 2, 9, None, 3, 8], "land": ["x", "y", "x", "x", "x", "x"]})
    found = result(frame, CheckSection(column="customer", references="customers.id"), past)
    assert [s.value for s in found.samples] == [9, 8] and found.failed == 2
    assert "customer must stand in customers.id" in found.message
    both = CheckSection(columns=("customer", "land"), references="customers.id, land")
    assert [s.value for s in result(frame, both, past).samples] == [
        "customer=2, land=y",
        "customer=9, land=x",
        "customer=8, land=x",
    ]


def test_a_dataset_that_is_not_there_is_a_finding() -> None:
    frame = pl.DataFrame({"a": [1]})
    check = CheckSection(column="a", references="custommers.id")
    assert result(frame, check, others()).message == "there is no dataset 'custommers'"
    assert "there are no other datasets here" in result(frame, check).message
    many = CheckSection(column="a", references="customers.id, land")
    assert "names 2 columns for 1" in result(frame, many, others()).message


@pytest.mark.parametrize(
    ("direction", "bad"),
    [("rising", [4]), ("falling", [1, 5]), ("strictly_rising", [3, 4]), ("strictly_falling", [1, 3, 5])],
)
def test_an_order_is_kept_over_gaps_and_files(direction: Any, bad: list[int]) -> None:
    frame = pl.DataFrame({"n": [1, 5, None, 5, 4, 6]})
    assert failed_rows(frame, CheckSection(column="n", monotonic=direction, action="quarantine")) == bad


def test_a_condition_holds_in_every_row_or_names_those_in_which_it_does_not() -> None:
    frame = pl.DataFrame({"start": [1, 2, 3, None, 5], "end": [2, 1, 3, 4, 4], "kind": ["a", "b", "a", "a", "c"]})
    found = result(frame, CheckSection(expression="end >= start"))
    assert (found.name, found.column, found.failed) == ("end >= start", "end, start", 2)
    assert [s.value for s in found.samples] == ["end=1, start=2", "end=4, start=5"]
    assert result(frame, CheckSection(expression="kind IN ('a', 'b', 'c') AND NOT (start > 9)")).passed
    assert result(frame, CheckSection(expression="kind = 'a' OR start % 2 = 0")).failed == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("end >=", "is no condition"),
        ("ende >= start", "names the column 'ende', which is not there; did you mean 'end'?"),
        ("end > avg(end)", "looks at more than one row"),
        ("end + start", "neither true nor false"),
        ("end >= kind", "cannot be computed"),
        ("1 = 1", "names no column"),
    ],
)
def test_a_condition_that_cannot_be_used_says_why(text: str, told: str) -> None:
    frame = pl.DataFrame({"start": [1], "end": [2], "kind": ["a"]})
    found = result(frame, CheckSection(expression=text))
    assert not found.passed and told in found.message, found.message


def test_columns_are_required_forbidden_or_the_only_ones() -> None:
    frame = pl.DataFrame({"a": [1], "b": [2]})
    assert result(frame, CheckSection(required_columns=("a", "b"))).passed
    assert result(frame, CheckSection(required_columns=("a", "bb"))).message == (
        "the column 'bb' is not there; did you mean 'b'?"
    )
    assert result(frame, CheckSection(forbidden_columns=("ssn",))).passed
    assert result(frame, CheckSection(forbidden_columns=("b",))).message == "the column 'b' must not be there"
    assert result(frame, CheckSection(only_columns=("a", "b", "c"))).passed
    assert result(frame, CheckSection(only_columns=("a",))).column == "b"


def test_a_share_of_rows_may_break_a_rule() -> None:
    frame = pl.DataFrame({"a": [None, 1, 2, 3]})
    some = result(frame, CheckSection(column="a", not_null=True, tolerance=0.25))
    assert some.passed and some.failed == 1 and "25.00% may" in some.message
    assert not result(frame, CheckSection(column="a", not_null=True, tolerance=0.2)).passed
    assert run(frame, CheckSection(column="a", not_null=True, tolerance=0.25, action="quarantine")).marks == ()


def version_of(frame: pl.DataFrame) -> DatasetVersion:
    return DatasetVersion(
        dataset="d",
        version=1,
        source="s",
        tree=Digest("0" * 64),
        roles=Roles(),
        schema=infer_schema(frame),
        profile=profile_frame(frame),
        files=(),
        rows=frame.height,
        size=0,
        created_at=NOW,
        created_by="ada",
    )


@pytest.mark.parametrize(
    ("rows", "bounds", "passes"),
    [
        (95, {"shrinks_by": 0.1}, True),
        (80, {"shrinks_by": 0.1}, False),
        (150, {"grows_by": 0.5}, True),
        (151, {"grows_by": 0.5}, False),
        (200, {"shrinks_by": 0.1}, True),
    ],
)
def test_the_number_of_rows_may_change_by_so_much(rows: int, bounds: dict[str, float], passes: bool) -> None:
    past = Past(previous=version_of(pl.DataFrame({"x": range(100)})))
    found = run(pl.DataFrame({"x": range(rows)}), CheckSection(volume=VolumeBounds(**bounds)), past).report  # type: ignore[arg-type]
    assert found.passed is passes
    last = found.results[-1]
    assert last.name.startswith("volume ") and "of the 100 of version 1" in last.message


def test_a_distribution_is_held_against_a_version() -> None:
    old = pl.DataFrame({"x": [n / 100 for n in range(1_000)]})
    past = Past(reference=lambda number: (number or 4, profile_frame(old)))
    check = CheckSection(column="x", distribution=DistributionBounds(at_most=0.1))
    assert result(old, check, past).passed
    moved = result(old.with_columns(pl.col("x") + 3), check, past)
    assert not moved.passed and moved.message.startswith("x is 0.300 away from version 4, and 0.1 is allowed (ks 0.29")
    few = result(pl.DataFrame({"x": [9.5, 9.6]}), check, past)
    assert few.passed and "chance alone" in few.message
    assert result(old, check, Past(reference=lambda number: None)).message == "x is compared from the next version on"


def test_marks_are_kept_only_where_rows_are_put_aside() -> None:
    table = table_of(pl.DataFrame({"a": [1, None]}), "a.csv")
    for action, count in (("block", 0), ("warn", 0), ("quarantine", 1)):
        section = DataSection(source="s", checks=(CheckSection(column="a", not_null=True, action=action),))  # type: ignore[arg-type]
        found = run_checks(table, section, tree=Digest("0" * 64), now=NOW)
        assert len(found.marks) == count and found.report.passed is (action != "block")
