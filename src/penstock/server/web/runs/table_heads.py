"""The first rows of a table in a file, for its preview."""

import io
from collections.abc import Sequence
from typing import Any

import polars as pl

Head = tuple[Sequence[str], Sequence[Sequence[Any]]]  # names of columns, and rows


def read_csv(lines: bytes, separator: str, rows: int) -> Head | None:
    """The first rows with every cell as text; None where this is no table."""
    try:
        frame = pl.read_csv(
            lines,
            separator=separator,
            n_rows=rows,
            infer_schema=False,
            truncate_ragged_lines=True,
            encoding="utf8-lossy",
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return frame.columns, frame.rows()


def read_parquet(content: bytes, rows: int) -> Head | None:
    """The first rows of a Parquet file; None where this is none."""
    try:
        frame = pl.scan_parquet(io.BytesIO(content)).head(rows).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None
    return frame.columns, frame.rows()
