"""Types are found again by the names that a schema records."""

import polars as pl
import pytest

from penstock.datasets.reading.dtypes import parse_dtype, types_of
from penstock.datasets.types import Column, Schema

TYPES = [
    *(pl.Int8(), pl.UInt64(), pl.Float32(), pl.Boolean(), pl.String(), pl.Binary(), pl.Date(), pl.Time(), pl.Null()),
    *(pl.Datetime("us"), pl.Datetime("ns", "Europe/Berlin"), pl.Duration("ms"), pl.Decimal(10, 2)),
    *(pl.List(pl.List(pl.Int64)), pl.Array(pl.Float64, (2, 3)), pl.Struct({"a b": pl.Int8, "c'": pl.List(pl.String)})),
]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_type_is_found_by_its_name(dtype: pl.DataType) -> None:
    assert parse_dtype(str(dtype)) == dtype


@pytest.mark.parametrize("name", ["", "Object", "Int64()", "os.system('x')", "List(", "'Int64'", "Datetime(what=1)"])
def test_what_is_no_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no type"):
        parse_dtype(name)
    assert types_of(Schema((Column("a", "other", name, False),))) is None
