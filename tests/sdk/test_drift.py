"""`penstock.drift`: which columns of a table moved, whatever the table is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import penstock
from penstock import drift
from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError


def rows(seed: int, *, shift: float = 0.0, n: int = 2000) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"age": rng.normal(40 + shift, 10, n), "colour": rng.choice(["r", "g", "b"], n)})


def test_it_is_public() -> None:
    assert penstock.drift is drift


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_two_files_are_compared_by_column(tmp_path: Path, ending: str) -> None:
    for name, frame in (("old", rows(1)), ("same", rows(2)), ("new", rows(3, shift=3))):
        path = tmp_path / f"{name}.{ending}"
        match ending:
            case "csv":
                frame.write_csv(path)
            case "parquet":
                frame.write_parquet(path)
            case _:
                frame.write_ndjson(path)
    old = tmp_path / f"old.{ending}"
    assert drift.compare(old, tmp_path / f"same.{ending}").drifted == []
    found = drift.compare(str(old), str(tmp_path / f"new.{ending}"))
    assert {column.name for column in found.columns if column.drifted} == {"age"}
    assert (found.reference_rows, found.current_rows) == (2000, 2000)


def test_several_files_are_one_table(tmp_path: Path) -> None:
    for number in range(3):
        rows(number).write_parquet(tmp_path / f"{number}.parquet")
    (tmp_path / "notes.txt").write_text("no table")
    for source in (tmp_path, tmp_path / "*.parquet"):
        assert drift.sketch(source).rows == 6000


def test_frames_of_either_kind_and_sketches_are_taken_too(tmp_path: Path) -> None:
    sketch = drift.sketch(rows(1))
    drift.save(sketch, tmp_path / "old.sketch")
    for reference in (rows(1), rows(1).to_pandas(), sketch, tmp_path / "old.sketch"):
        assert drift.compare(reference, rows(3, shift=3)).drifted == ["age"]


def test_what_is_compared_in_months_can_be_put_together() -> None:
    months = [drift.sketch(rows(seed)) for seed in range(3)]
    year = months[0].merge(months[1]).merge(months[2])
    assert drift.compare(year, rows(9)).drifted == []


def test_a_column_that_has_gone_has_moved_and_a_new_one_is_named() -> None:
    found = drift.compare(rows(1), rows(2).drop("colour").with_columns(size=pl.lit(1)))
    assert found.drifted == ["colour"]
    assert found.added == ["size"]
    assert found.columns[1].current is None


def test_numbers_that_became_texts_have_moved() -> None:
    found = drift.compare(rows(1), rows(2).with_columns(pl.col("age").cast(pl.String)))
    assert found.drifted == ["age"]
    assert "texts, where the reference has numbers" in found.columns[0].result.note


def test_a_column_that_became_empty_has_moved() -> None:
    assert drift.compare(rows(1), rows(2).with_columns(age=pl.lit(None, pl.Float64))).drifted == ["age"]


def test_rows_of_one_customer_count_as_what_they_are() -> None:
    def visits(seed: int) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        return pl.DataFrame({"who": np.repeat(np.arange(50), 40), "height": np.repeat(rng.normal(170, 9, 50), 40)})

    assert drift.compare(visits(1), visits(2)).drifted == ["height"]
    assert drift.compare(visits(1), visits(2), key="who").drifted == []


def test_what_cannot_be_compared_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "bad.sketch").write_bytes(b"nothing")
    with pytest.raises(NotFoundError, match=r"no table .*none"):
        drift.compare(tmp_path / "none.csv", rows(1))
    with pytest.raises(CorruptDataError, match=r"bad\.sketch is no sketch"):
        drift.compare(tmp_path / "bad.sketch", rows(1))
    with pytest.raises(NotFoundError, match="no file"):
        drift.load(tmp_path / "none.sketch")
    with pytest.raises(InvalidInputError, match="current has no rows"):
        drift.compare(rows(1), rows(1).head(0))
    with pytest.raises(InvalidInputError, match="no column 'agee'"):
        drift.compare(rows(1), rows(2), columns=["agee"])
    with pytest.raises(InvalidInputError, match="level of 2"):
        drift.compare(rows(1), rows(2), level=2)
    with pytest.raises(InvalidInputError, match="no name for a sketch"):
        drift.save(drift.sketch(rows(1)), tmp_path / "old.parquet")
    with pytest.raises(InvalidInputError, match="is no table"):
        drift.compare(object(), rows(1))
