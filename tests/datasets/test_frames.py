"""Tables are read as people write them; what cannot be read is refused with a way out."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import formats, open_files, read_table, table


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_separates_the_names_separates_the_values(mark: str, tmp_path: Path) -> None:
    text = "a,b,y\n1,x,0.5\n2,y,1.5\n".replace(",", mark)
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    expected = {"a": [1, 2], "b": ["x", "y"], "y": [0.5, 1.5]}
    assert read_table(tmp_path / "t.csv").to_dict(as_series=False) == expected
    assert read_table(tmp_path / "t.csv.gz").to_dict(as_series=False) == expected


def test_a_comma_between_digits_is_a_decimal_comma_where_semicolons_separate(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("price;who\n1,5;Ann, Bob\n-2,25;Cy\n")
    assert read_table(tmp_path / "t.csv").to_dict(as_series=False) == {"price": [1.5, -2.25], "who": ["Ann, Bob", "Cy"]}


def test_a_semicolon_in_a_name_separates_nothing_where_commas_do(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b,c\n1;2,3\n")
    assert read_table(tmp_path / "t.csv").columns == ["a;b", "c"]


def test_one_column_needs_no_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    assert read_table(tmp_path / "t.csv").equals(pl.DataFrame({"a": [1, 2]}))


@pytest.mark.parametrize(
    ("name", "body", "hint"),
    [
        ("latin.csv", "größe,y\nMüller,1\n".encode("latin-1"), "save it as UTF-8"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "more values than the first line has names"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20], ""),
        ("empty.csv", b"", ""),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_way_out(name: str, body: bytes, hint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(InvalidInputError, match="cannot be read") as refused:
        read_table(tmp_path / name)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "late",
    ["4,2.5,2026-01-02,true,x", "4,5,soon,false,x", "oops,5,2026-01-02,maybe,9", '"7",1e3,2026-01-02,true,', "4,,,,x"],
)
def test_a_large_file_has_the_types_that_all_of_its_rows_have(
    late: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d,e\n" + "1,2,2026-01-01,true,7\n" * 20 + late + "\n")
    whole = read_table(path)
    monkeypatch.setattr(formats, "_SMALL", 0)
    monkeypatch.setattr(formats, "_FIRST_ROWS", 5)
    large = read_table(path)
    assert large.schema == whole.schema and large.equals(whole)


def test_a_large_file_with_decimal_commas_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n;price\n" + "1;1,5\n" * 20 + "x;2,25\n")
    whole = read_table(path)
    monkeypatch.setattr(formats, "_SMALL", 0)
    monkeypatch.setattr(formats, "_FIRST_ROWS", 5)
    assert read_table(path).equals(whole) and whole.schema["price"] == pl.Float64


@pytest.mark.parametrize("columns", [2, 40])
def test_a_parquet_file_is_read_in_batches_in_order(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "BATCH_ROWS", 7)
    frame = pl.DataFrame({f"c{n}": range(n, n + 50) for n in range(columns)})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=20)
    frame.head(3).write_parquet(tmp_path / "b.parquet")
    files = open_files([(name, tmp_path / name) for name in ("a.parquet", "b.parquet")])
    batches = list(files.batches(["c1"]))
    assert pl.concat(batch.frame for batch in batches).to_series().to_list() == [*range(1, 51), 1, 2, 3]
    assert all(batch.frame.height <= 7 for batch in batches)
    assert [(b.file, b.first, b.start) for b in batches][-1] == ("b.parquet", 0, 50)
    assert [b.start for b in batches if b.file == "a.parquet"] == [b.first for b in batches if b.file == "a.parquet"]
    assert files.collect().height == files.lazy().collect().height == 53


def test_a_file_without_rows_has_the_types_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,t\n")
    (tmp_path / "b.csv").write_text("n,t\n1,x\n")
    files = open_files([(name, tmp_path / name) for name in ("a.csv", "b.csv")])
    assert files.schema == {"n": pl.Int64, "t": pl.String}
    assert [(batch.file, batch.frame.height) for batch in files.batches()] == [("b.csv", 1)]
