"""Two versions side by side: rows by key, rows without one, and columns that moved."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import DataSection
from penstock.datasets.diff import DatasetDiff, RowDiff, _diff_rows, diff_versions
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
        ("changed", {"id": 3}),
    ]
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


tables = st.dictionaries(st.integers(0, 12), st.sampled_from(["a", "b", None]), max_size=10)


@settings(deadline=None)
@given(before=tables, after=tables)
def test_row_counts_agree_with_plain_python(before: dict[int, str | None], after: dict[int, str | None]) -> None:
    frames = [
        pl.DataFrame({"id": list(t), "v": list(t.values())}, schema={"id": pl.Int64, "v": pl.String})
        for t in (before, after)
    ]
    both = before.keys() & after.keys()
    changed = sum(before[key] != after[key] for key in both)
    rows = _diff_rows(frames[0], frames[1], "id")
    assert (rows.added, rows.removed) == (len(after.keys() - both), len(before.keys() - both))
    assert (rows.changed, rows.same) == (changed, len(both) - changed)
    whole: RowDiff = _diff_rows(frames[0], frames[1], None)
    assert (whole.added, whole.same) == (rows.added + changed, rows.same)
