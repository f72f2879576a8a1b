"""Tables as the bytes of a file; the ending of its name says which kind."""

import io
from collections.abc import Callable, Mapping

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.sdk.rendering import ending_of


def render_table(table: object, path: str) -> bytes:
    """A data frame, a dict of columns or a list of rows as CSV, Parquet or JSON."""
    frame = _to_frame(table, path)
    writers: dict[str, Callable[[io.BytesIO], object]] = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "json": frame.write_json,
    }
    writer = writers.get(ending_of(path))
    if writer is None:
        raise InvalidInputError(f"no table can be kept as {path!r}", hint=f"end its name in {', '.join(writers)}")
    buffer = io.BytesIO()
    writer(buffer)
    return buffer.getvalue()


def _to_frame(table: object, path: str) -> pl.DataFrame:
    if isinstance(table, pl.DataFrame):
        return table
    if hasattr(table, "to_dict") and hasattr(table, "columns"):  # of pandas
        table = table.to_dict(orient="list")
    try:
        if isinstance(table, Mapping):
            return pl.DataFrame(dict(table), strict=False)
        return pl.from_dicts(list(table), infer_schema_length=None)  # type: ignore[call-overload]
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InvalidInputError(f"{path}: this is no table: {error}") from error
