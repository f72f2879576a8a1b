"""Two versions side by side: rows by key, rows without one, and columns that moved."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import DataSection
from penstock.datasets.checks import spill
from penstock.datasets.diff.rows import diff_rows
from penstock.datasets.diff.types import DatasetDiff, RowDiff
from penstock.datasets.diff.versions import diff_profiles, diff_versions
from penstock.datasets.frames.table import Table, table_of
from penstock.datasets.ingest import add_version
from penstock.datasets.service import DatasetService
from penstock.storage.objects.open import open_object_store


def diff(folder: Path, before: pl.DataFrame, after: pl.DataFrame, key: str | None = "id") -> DatasetDiff:
    service, objects = DatasetService(open_database(folder)), open_object_store(folder / "o")
    versions = []
    for frame in (before, after):
        frame.write_parquet(folder / "t.parquet")
        versions.append(add_version(service, objects, "t", DataSection(source="t.parquet", key=key), folder))
    return diff_versions(objects, *versions)


def test_rows_are_matched_by_their_key(tmp_path: Path) -> None:
    before = pl.DataFrame({"id": [1, 2, 3, 4], "v": ["a", "b", "c", None], "l": [[1], [2], [3], []]})
    after = pl.DataFrame(
        {"id": [4, 3, 2, 5], "v": [None, "C", "b", "e"], "l": [[], [3], [2], [5]], "new": [1, 2, 3, 4]}
    )
    found = diff(tmp_path, before, after)
    rows = found.rows
    assert (rows.added, rows.removed, rows.changed, rows.same) == (1, 1, 1, 2)
    assert [(sample.change, sample.values) for sample in rows.samples] == [
        ("added", {"id": 5}),
        ("removed", {"id": 1}),
        ("changed", {"id": 3, "v": "C"}),
    ]
    assert rows.samples[2].before == {"v": "c"}
    assert [(column.name, column.rows) for column in rows.columns] == [("v", 1)]
    assert [(file.path, file.change) for file in found.files] == [("t.parquet", "changed")]
    assert [str(change) for change in found.schema] == ["new (integer) was added"]
    assert (found.before, found.after) == (1, 2)


def test_without_a_key_whole_rows_are_compared(tmp_path: Path) -> None:
    before = pl.DataFrame({"v": ["a", "a", "b", "c"]})
    after = pl.DataFrame({"v": ["a", "b", "b", "d"]})
    rows = diff(tmp_path, before, after, key=None).rows
    assert (rows.key, rows.added, rows.removed, rows.changed, rows.same) == (None, 2, 2, 0, 2)


def test_the_column_that_moved_most_comes_first(tmp_path: Path) -> None:
    before = pl.DataFrame({"id": range(100), "still": [1.5] * 100, "moved": range(100), "kind": ["a", "b"] * 50})
    after = before.with_columns(pl.col("moved") + 200, kind=pl.lit("a"))
    columns = diff(tmp_path, before, after).columns
    assert [(column.name, column.distance) for column in columns] == [
        ("moved", 1.0),
        ("kind", 0.5),
        ("id", 0.0),
        ("still", 0.0),
    ]
    assert (columns[0].before.mean, columns[0].after.mean) == (49.5, 249.5)


def test_two_datasets_are_not_two_versions(tmp_path: Path) -> None:
    service, objects = DatasetService(open_database(tmp_path)), open_object_store(tmp_path / "o")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "t.parquet")
    one, two = (
        add_version(service, objects, name, DataSection(source="t.parquet"), tmp_path) for name in ("one", "two")
    )
    with pytest.raises(InvalidInputError, match="are two datasets"):
        diff_versions(objects, one, two)


def tables_of(frames: list[pl.DataFrame]) -> list[Table]:
    return [table_of(frame, "t") for frame in frames]


tables = st.dictionaries(st.integers(0, 12), st.sampled_from(["a", "b", None]), max_size=10)


@settings(deadline=None)
@given(before=tables, after=tables, on_disk=st.booleans())
def test_row_counts_agree_with_plain_python(
    before: dict[int, str | None], after: dict[int, str | None], on_disk: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "HELD", 0 if on_disk else 10**9)
        compare_with_plain_python(before, after)


def compare_with_plain_python(before: dict[int, str | None], after: dict[int, str | None]) -> None:
    frames = [
        pl.DataFrame({"id": list(t), "v": list(t.values())}, schema={"id": pl.Int64, "v": pl.String})
        for t in (before, after)
    ]
    both = before.keys() & after.keys()
    changed = sum(before[key] != after[key] for key in both)
    rows = diff_rows(*tables_of(frames), "id")
    assert (rows.added, rows.removed) == (len(after.keys() - both), len(before.keys() - both))
    assert (rows.changed, rows.same) == (changed, len(both) - changed)
    whole: RowDiff = diff_rows(*tables_of(frames), None)
    assert (whole.added, whole.same) == (rows.added + changed, rows.same)


def test_a_key_that_stands_twice_makes_whole_rows_the_measure() -> None:
    old, new = pl.DataFrame({"id": [1, 1], "v": [1, 2]}), pl.DataFrame({"id": [1, 1], "v": [1, 3]})
    rows = diff_rows(*tables_of([old, new]), "id")
    assert (rows.key, rows.added, rows.removed, rows.same) == (None, 1, 1, 1)


def test_large_whole_numbers_are_told_apart_and_other_types_compared_by_value() -> None:
    old = pl.DataFrame({"id": [1, 2], "n": [2**60, 5], "d": ["1", "2"]})
    new = pl.DataFrame({"id": [1, 2], "n": [2**60 + 1, 5], "d": [1, 3]})
    rows = diff_rows(*tables_of([old, new]), "id")
    assert (rows.changed, [(c.name, c.rows) for c in rows.columns]) == (2, [("n", 1), ("d", 1)])
    assert diff_rows(*tables_of([pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1.0, 2.5]})]), None).same == 1


def test_pictures_show_what_moved_without_reading_a_row(tmp_path: Path) -> None:
    before = pl.DataFrame({"id": range(400), "x": [n % 100 / 1 for n in range(400)], "kind": ["a", "b"] * 200})
    after = before.with_columns(pl.col("x") + 50, kind=pl.lit("a"))
    service, objects = DatasetService(open_database(tmp_path)), open_object_store(tmp_path / "o")
    versions = []
    for frame in (before, after):
        frame.write_parquet(tmp_path / "t.parquet")
        versions.append(add_version(service, objects, "t", DataSection(source="t.parquet", key="id"), tmp_path))
    found = diff_profiles(*versions)
    assert found.rows is None
    spreads = {column.name: column.spread for column in found.columns}
    for spread in spreads.values():
        assert sum(bar.before for bar in spread.bars) == pytest.approx(1)
        assert sum(bar.after for bar in spread.bars) == pytest.approx(1)
    assert [(bar.label, bar.before, bar.after) for bar in spreads["kind"].bars] == [("a", 0.5, 1.0), ("b", 0.5, 0.0)]
    assert spreads["x"].bars[0].before > 0 and spreads["x"].bars[0].after == 0
    assert spreads["x"].bars[-1].before == 0 and spreads["x"].bars[-1].after > 0
