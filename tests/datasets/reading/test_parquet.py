"""Parquet is read by row groups as other writers lay them out, and what is none is told."""

import io
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.datasets.reading.compact import decode_struct
from penstock.datasets.reading.parquet import ParquetFile

NESTED = pa.table(
    {
        "id": pa.array(range(1_000)),
        "deep": pa.array([{"a": n, "b": {"c": [str(n)] * (n % 3)}} for n in range(1_000)]),
        "tags": pa.array([[n] * (n % 4) if n % 5 else None for n in range(1_000)]),
        "word": pa.array([f"w{n % 7}" for n in range(1_000)]).dictionary_encode(),
    }
)


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "none", "use_dictionary": False}, {"compression": "zstd", "data_page_version": "2.0"},
     {"write_page_index": True, "write_statistics": True}],
)  # fmt: skip
def test_nested_columns_are_read_group_by_group(options: dict[str, object], tmp_path: Path) -> None:
    pq.write_table(NESTED, tmp_path / "t.parquet", row_group_size=130, **options)
    whole = pl.read_parquet(tmp_path / "t.parquet")
    with (tmp_path / "t.parquet").open("rb") as stream:
        file = ParquetFile(stream)
        assert file.schema() == dict(whole.schema)
        assert [group.rows for group in file.groups] == [130] * 7 + [90]
        for group in file.groups:
            part = whole.slice(group.first, group.rows)
            assert file.read(group, whole.columns).equals(part)
            assert file.read(group, ["tags", "id"]).equals(part.select("tags", "id"))


def test_nothing_stays_open(tmp_path: Path) -> None:
    pq.write_table(NESTED, tmp_path / "t.parquet")
    before = len(os.listdir("/proc/self/fd"))
    with (tmp_path / "t.parquet").open("rb") as stream:
        file = ParquetFile(stream)
        file.read(file.groups[0], ["id"])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "body", [b"", b"PAR1", b"a,b\n1,2\n", b"PAR1" + b"\xff" * 4 + b"PAR1", b"PAR1\x99\x99\x03\0\0\0PAR1"]
)
def test_what_is_no_parquet_is_told(body: bytes) -> None:
    with pytest.raises(CorruptDataError):
        ParquetFile(io.BytesIO(body))


def test_an_encrypted_file_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="encrypted"):
        ParquetFile(io.BytesIO(b"PAR1" + bytes(20) + b"PARE"))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_structure_or_refused(data: bytes) -> None:
    try:
        decode_struct(data)
    except CorruptDataError as error:
        assert "no structure" in str(error)
