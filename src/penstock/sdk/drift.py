"""`penstock.drift`: has a table moved? Two files, folders of files, frames, dataset versions or sketches compared.

    from penstock import drift

    found = drift.compare("january.parquet", "february.parquet")
    print(found.drifted)

A sketch takes the place of its table wherever one is asked for, and costs nothing to read:

    reference = drift.sketch("january.parquet")
    drift.save(reference, "january.sketch")
    drift.compare("january.sketch", "february.parquet")
"""

import contextlib
import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from msgspec.structs import replace

from penstock.catalogue.services import Services
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.datasets.frames import Table, check_column, is_readable, open_files, open_version
from penstock.datasets.frames.table import table_of
from penstock.monitoring.sketches import (
    TableSketch,
    decode_sketch,
    encode_sketch,
    explain_uncut,
    find_cuts,
    sketch_table,
)
from penstock.monitoring.table_drift import LEVEL, TableDrift, compare_tables
from penstock.sdk.connect import connect

__all__ = ["TableDrift", "TableSketch", "compare", "load", "save", "sketch"]

SKETCH = ".sketch"  # how the names of files with sketches end
_VERSION = re.compile(r"([A-Za-z0-9][\w.\-]*)@(\d*)")


def compare(
    reference: Any,
    current: Any,
    *,
    level: float = LEVEL,
    columns: Sequence[str] = (),
    key: str = "",
    by: Sequence[str] = (),
    services: Services | None = None,
) -> TableDrift:
    """Which columns of a table have moved away from the reference.

    Args:
        reference: what was: a path (CSV, Parquet, JSON Lines, Arrow, Excel; with `*` for several files), a file that
            `save` wrote, `NAME@VERSION` of a dataset (`NAME@` for the newest), a frame of polars or pandas, or a
            sketch.
        current: what is, likewise.
        level: the chance that any column is called moved where none has.
        columns: only these; none for all of the reference.
        key: the column that says which rows belong together, such as a customer; their likeness is allowed for.
        by: columns that cut rows into segments, each of which is compared as well; `segment_notes` of what is found
            says which of them could not.
        services: where datasets are; None: `penstock.connect()`.

    Raises:
        NotFoundError: there is no such file or dataset version.
        InvalidInputError: one cannot be read as a table, or has no rows.
    """
    before = sketch(reference, columns=columns, key=key, by=by, services=services)
    shared = [name for name in columns if name in before.columns]
    after = sketch(current, columns=shared, key=key, like=before, services=services)
    names = _name(reference, "reference"), _name(current, "current")
    return compare_tables(before, after, names=names, level=level, columns=columns)


def sketch(
    source: Any,
    *,
    columns: Sequence[str] = (),
    key: str = "",
    by: Sequence[str] = (),
    like: TableSketch | None = None,
    services: Services | None = None,
) -> TableSketch:
    """What `compare` needs to know of a table: of constant size, and mergeable with `TableSketch.merge`.

    Args:
        source: as for `compare`.
        columns: only these; none for all.
        key: the column that says which rows belong together.
        by: columns that cut rows into segments: their most frequent values, or the quarters of their numbers. The table
            is read twice then.
        like: cut into the segments of this sketch, which it is to be compared with, in place of `by`.
        services: where datasets are; None: `penstock.connect()`.

    Raises:
        InvalidInputError: as for `compare`, or a sketch that was kept has no such segments.
    """
    if isinstance(source, TableSketch):
        return _check_cut(source, by)
    if isinstance(source, str | Path) and str(source).endswith(SKETCH):
        return _check_cut(load(source), by)
    with _open(source, services) as table:
        for name in [*columns, *([key] if key else []), *by]:
            check_column(name, table.columns, _name(source, "the table"))
        if not by:
            cuts = [held.cut for held in like.segments] if like else []
            return sketch_table(table, list(columns) or None, key=key, cuts=cuts)
        cut_by = sketch_table(table, by).columns
        found = sketch_table(table, list(columns) or None, key=key, cuts=find_cuts(cut_by, by))
        return replace(found, uncut=explain_uncut(cut_by, by))


def _check_cut(sketch: TableSketch, by: Sequence[str]) -> TableSketch:
    held = [each.cut.column for each in sketch.segments]
    for name in by:
        if name not in held and name not in sketch.uncut:
            hint = f"it is cut by {', '.join(held)}" if held else "keep it anew with the columns to cut by"
            raise InvalidInputError(f"the sketch has no segments by {name!r}", hint=hint, field="by")
    return sketch


def save(sketch: TableSketch, path: str | Path) -> None:
    """Write a sketch to a file, whose name has to end with `.sketch`."""
    if not str(path).endswith(SKETCH):
        raise InvalidInputError(f"{path} is no name for a sketch", hint=f"let it end with {SKETCH}")
    Path(path).write_bytes(encode_sketch(sketch))


def load(path: str | Path) -> TableSketch:
    """Read a sketch that `save` wrote.

    Raises:
        NotFoundError: there is no such file.
        CorruptDataError: it is none.
    """
    if not Path(path).is_file():
        raise NotFoundError(f"there is no file {path}")
    return decode_sketch(Path(path).read_bytes(), str(path))


@contextlib.contextmanager
def _open(source: Any, services: Services | None) -> Iterator[Table]:
    if isinstance(source, pl.DataFrame):
        yield table_of(source, "rows")
        return
    if not isinstance(source, str | Path):
        yield table_of(_as_polars(source), "rows")
        return
    version = None if Path(source).exists() else _VERSION.fullmatch(str(source))
    if version is None:
        yield open_files([(str(path), path) for path in _files(source)], keep_categories=True)
        return
    opened = services or connect()
    try:
        found = opened.datasets.get_version(version[1], int(version[2]) if version[2] else None)
        with open_version(opened.objects, found) as table:
            yield table
    finally:
        if services is None:
            opened.close()


def _files(source: str | Path) -> list[Path]:
    """The files of a path: itself, those in a folder, or those that a pattern fits."""
    path = Path(source)
    if path.is_file():
        return [path]
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(str(source), recursive=True))
    files = sorted(each for each in found if each.is_file() and is_readable(each.name))
    if not files:
        raise NotFoundError(
            f"there is no table {source}",
            hint="give a file, a folder, a pattern in quotes, or NAME@VERSION of a dataset",
        )
    return files


def _as_polars(source: Any) -> pl.DataFrame:
    try:
        return pl.DataFrame(source)
    except Exception as error:  # whatever polars makes of a thing that is no table
        raise InvalidInputError(f"a {type(source).__name__} is no table: {error}") from error


def _name(source: Any, otherwise: str) -> str:
    return str(source) if isinstance(source, str | Path) else otherwise
