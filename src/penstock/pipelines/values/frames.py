"""Polars frames and series, as Parquet files."""

import io

import polars as pl

from penstock.pipelines.values.types import StoredValue
from penstock.storage.objects.object_store import ObjectStore


def write(value: object, objects: ObjectStore) -> StoredValue:
    """Keep a frame or a series."""
    if isinstance(value, pl.LazyFrame):
        raise TypeError("it has not been computed yet; return frame.collect()")
    if not isinstance(value, pl.DataFrame | pl.Series):
        raise TypeError("only frames and series can be kept; put it into a frame")
    frame = value.to_frame() if isinstance(value, pl.Series) else value
    if any(dtype == pl.Object for dtype in frame.dtypes):
        names = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
        raise TypeError(f"columns {names} hold Python objects; cast them to a type of polars")
    kind = "series" if isinstance(value, pl.Series) else "frame"
    about = f"{frame.height} rows, {frame.width} columns"
    return StoredValue(kind=kind, digest=objects.put_bytes(to_parquet(frame)), about=about)


def read(stored: StoredValue, objects: ObjectStore) -> pl.DataFrame | pl.Series:
    """The frame or series again."""
    frame = pl.read_parquet(io.BytesIO(objects.get_bytes(stored.key)))
    return frame.to_series() if stored.kind == "series" else frame


def to_parquet(frame: pl.DataFrame) -> bytes:
    """The frame as the bytes of a Parquet file; equal frames give equal bytes."""
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    return buffer.getvalue()
