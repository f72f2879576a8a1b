"""Frames on their way to a model's process, and answers on their way back; apart, because polars loads slowly."""

import io
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.registry.format.types import Column
from penstock.registry.runner.wire import BadAnswerError, Columns

_DTYPES: dict[str, Any] = {
    "string": pl.String,
    "long": pl.Int64,
    "double": pl.Float64,
    "boolean": pl.Boolean,
    "string[]": pl.List(pl.String),
    "double[]": pl.List(pl.Float64),
}


def write_frame(frame: pl.DataFrame) -> bytes:
    """A frame as Arrow IPC."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()


def read_frame(content: bytes | bytearray) -> pl.DataFrame:
    """What `write_frame` wrote; only a model's process reads frames, and those of whoever asks it."""
    return pl.read_ipc(io.BytesIO(content), use_pyarrow=False)


def to_columns(frame: pl.DataFrame) -> Columns:
    """An answer, its numbers as arrays."""
    return {series.name: _to_values(series) for series in frame}


def to_frame(columns: Columns, outputs: tuple[Column, ...]) -> pl.DataFrame:
    """An answer as a frame.

    Raises:
        BadAnswerError: it does not fit the columns that the model says it gives.
    """
    types = {column.name: column.type for column in outputs}
    try:
        return pl.DataFrame([_to_series(name, values, types.get(name, "")) for name, values in columns.items()])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError, OverflowError) as error:
        raise BadAnswerError(f"the answer is no frame: {error}") from error


def _to_values(series: pl.Series) -> NDArray[Any] | list[Any]:
    if series.null_count() == 0:
        if series.dtype in (pl.Float64, pl.Float32, pl.Int64, pl.Boolean):
            return series.to_numpy()
        if series.dtype == pl.List(pl.Float64) and series.list.len().n_unique() == 1:
            flat = series.explode(empty_as_null=True)
            if flat.null_count() == 0:
                return flat.to_numpy().reshape(len(series), -1)
    return series.to_list()


def _to_series(name: str, values: NDArray[Any] | list[Any], kind: str) -> pl.Series:
    if isinstance(values, np.ndarray):
        series = pl.Series(name, values)
        return series.cast(pl.List(pl.Float64)) if values.ndim == 2 else series
    return pl.Series(name, values, dtype=_DTYPES.get(kind))
