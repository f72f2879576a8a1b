"""Tables of stored versions, read without a checkout."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.core.ids import Digest
from penstock.datasets.frames.formats import Content, check_column
from penstock.datasets.frames.table import Table, open_files
from penstock.datasets.frames.values import times_of
from penstock.datasets.types import DatasetVersion
from penstock.storage.objects.stored import StoredObjects

_IN_MEMORY = 64 << 20  # bytes of files that are held in memory; what is beyond lies on disk while it is read
_PIECE = 8 << 20


@contextmanager
def open_version(objects: StoredObjects, version: DatasetVersion) -> Iterator[Table]:
    """The rows of a version, which need not fit into memory; large files lie in a temporary folder meanwhile.

    Raises:
        CorruptDataError: a file is not what was stored.
    """
    with open_stored(objects, [(file.path, file.digest, file.size) for file in version.files]) as table:
        yield table


@contextmanager
def open_stored(objects: StoredObjects, files: Sequence[tuple[str, Digest, int]]) -> Iterator[Table]:
    """Stored files as one table.

    Args:
        objects: where they are kept.
        files: path, digest and size in bytes of each.

    Raises:
        CorruptDataError: a file is not what was stored.
        InvalidInputError: a file cannot be read as what its name says, or its columns are others.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        contents: list[tuple[str, Content]] = []
        held = 0
        for number, (path, digest, size) in enumerate(files):
            held += size
            if held <= _IN_MEMORY:
                contents.append((path, io.BytesIO(objects.get_bytes(digest))))
            else:
                contents.append((path, _copy(objects, digest, Path(folder) / f"{number}-{Path(path).name}")))
        yield open_files(contents)


def read_version(
    objects: StoredObjects,
    version: DatasetVersion,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The rows of a version, all in memory.

    Args:
        objects: where its files are kept.
        version: which.
        since: only rows whose time is at this moment or later.
        until: only rows whose time is before this moment.
        columns: only these; None for all.

    Raises:
        InvalidInputError: it has no such column, or no time to choose rows by.
        CorruptDataError: a file is not what was stored.
    """
    for name in columns or ():
        check_column(name, version.schema.names, f"dataset {version.dataset!r}")
    with open_version(objects, version) as table:
        frame = table.collect()
    if since is not None or until is not None:
        frame = _between(frame, version, since, until)
    return frame if columns is None else frame.select(columns)


def _copy(objects: StoredObjects, digest: Digest, target: Path) -> Path:
    with objects.open(digest) as stream, target.open("wb") as file:
        while piece := stream.read(_PIECE):
            file.write(piece)
    return target


def _between(
    frame: pl.DataFrame, version: DatasetVersion, since: datetime | None, until: datetime | None
) -> pl.DataFrame:
    column = version.roles.time
    times = times_of(frame.get_column(column)) if column else None
    if times is None:
        raise InvalidInputError(
            f"rows of dataset {version.dataset!r} cannot be chosen by time: "
            + (f"the values of {column!r} are no times" if column else "it names no time column"),
            hint="set time in its section of penstock.toml",
        )
    chosen = pl.repeat(True, frame.height, dtype=pl.Boolean, eager=True)
    if since is not None:
        chosen &= times >= _utc(since)
    if until is not None:
        chosen &= times < _utc(until)
    return frame.filter(chosen)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
