"""A Delta table is read as it is in its newest version, deletions and all."""

from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from penstock.core.errors import NotFoundError
from penstock.datasets.sources.delta import is_delta, write_table


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pl.DataFrame({"id": [1, 2, 3], "day": ["a", "a", "b"]}).write_delta(
        tmp_path / "table", delta_write_options={"partition_by": ["day"]}
    )
    return tmp_path


def test_every_version_is_read_once(root: Path) -> None:
    assert is_delta("table", root)
    assert not is_delta("other", root)
    assert write_table("table", root, root / "x.parquet") == (0, 3)
    assert write_table("table", root, root / "x.parquet", known=0) == (0, None)
    pl.DataFrame({"id": [4], "day": ["c"]}).write_delta(root / "table", mode="append")
    DeltaTable(root / "table").delete("id = 1")
    version, rows = write_table(f"delta+{root}/table", root, root / "x.parquet", known=0)
    assert (version, rows) == (2, 3)
    assert sorted(pl.read_parquet(root / "x.parquet")["id"]) == [2, 3, 4]


def test_a_table_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no Delta table"):
        write_table("delta+nothing", root, root / "x.parquet")
