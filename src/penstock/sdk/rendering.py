"""Figures, tables and plain values as the bytes of a file; the ending of its name says which kind."""

import io
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec
import polars as pl
import yaml

from penstock.core.errors import InvalidInputError


def render_value(value: object, path: str) -> bytes:
    """A dict or list as JSON, or as YAML where the name ends so."""
    try:
        plain = msgspec.to_builtins(value, enc_hook=_plain)
    except TypeError as error:
        raise InvalidInputError(f"{path}: {error}", hint="use dicts, lists, texts and numbers") from error
    if _ending(path) in ("yaml", "yml"):
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode()
    return msgspec.json.format(msgspec.json.encode(plain), indent=2)


def render_table(table: object, path: str) -> bytes:
    """A data frame, a dict of columns or a list of rows as CSV, Parquet or JSON."""
    frame = _to_frame(table, path)
    writers: dict[str, Callable[[io.BytesIO], object]] = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "json": frame.write_json,
    }
    writer = writers.get(_ending(path))
    if writer is None:
        raise InvalidInputError(f"no table can be kept as {path!r}", hint=f"end its name in {', '.join(writers)}")
    buffer = io.BytesIO()
    writer(buffer)
    return buffer.getvalue()


def render_figure(figure: Any, path: str) -> bytes:
    """A figure of matplotlib in the format of its name, or one of plotly as HTML."""
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=_ending(path) or "png")
        return buffer.getvalue()
    if hasattr(figure, "to_html"):
        text: str = figure.to_html(include_plotlyjs="cdn")
        return text.encode()
    raise InvalidInputError(f"{path}: {type(figure).__name__} is no figure of matplotlib or plotly")


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


def _plain(value: Any) -> object:
    if hasattr(value, "tolist"):  # arrays and scalars of numpy and torch
        return value.tolist()
    return str(value)


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.removeprefix(".").lower()
