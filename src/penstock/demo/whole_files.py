"""Files of the demo that are there whole or not at all, wherever it is killed."""

from pathlib import Path

import polars as pl


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file, and the folders above it."""
    beside = _beside(file)
    beside.write_bytes(content)
    beside.replace(file)


def write_parquet(file: Path, frame: pl.DataFrame) -> None:
    """Write a table, and the folders above it."""
    beside = _beside(file)
    frame.write_parquet(beside)
    beside.replace(file)


def _beside(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.with_name(f".{file.name}.tmp")
