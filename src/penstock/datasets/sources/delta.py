"""Delta tables: one version of them, as Parquet."""

import importlib
from pathlib import Path
from typing import Any

import polars as pl

from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError

LOG = "_delta_log"
PREFIX = "delta+"  # of a URL: `delta+s3://bucket/table`


def is_delta(source: str, root: Path) -> bool:
    """Whether a source is a Delta table: a folder with its log, or a URL that says so."""
    return source.startswith(PREFIX) or ("://" not in source and (root / source / LOG).is_dir())


def write_table(source: str, root: Path, target: Path, *, known: int | None = None) -> tuple[int, int | None]:
    """Write the newest version of a table to a Parquet file, unless it is the known one.

    Args:
        source: the folder, or a URL.
        root: the folder that a path is found from.
        target: the file.
        known: the version that is known; None for none.

    Returns:
        The version, and how many rows were written; None where it is the known one.

    Raises:
        InvalidInputError: the extra `delta` is not installed, or the table uses what it cannot read.
        NotFoundError: there is no such table.
        UnavailableError: it cannot be read.
    """
    deltalake = _library()
    where = source.removeprefix(PREFIX) if source.startswith(PREFIX) else str(root / source)
    try:
        table = deltalake.DeltaTable(where)
        version = int(table.version())
        if version == known:
            return version, None
        frame = pl.scan_delta(table)
        frame.sink_parquet(target)
    except deltalake.exceptions.TableNotFoundError as error:
        raise NotFoundError(f"there is no Delta table {source}") from error
    except deltalake.exceptions.DeltaError as error:
        raise UnavailableError(f"the Delta table {source} cannot be read: {error}") from error
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"the Delta table {source} cannot be read: {error}") from error
    return version, int(pl.scan_parquet(target).select(pl.len()).collect().item())


def _library() -> Any:
    try:
        return importlib.import_module("deltalake")
    except ImportError as error:
        raise InvalidInputError(
            "Delta tables need a library that is not installed", hint="pip install 'penstock[delta]'"
        ) from error
