"""Tables are read as people write them; what cannot be read is refused with a way out."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import read_table


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
