"""One version of a dataset, read where it is kept."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.datasets.frames import check_column
from penstock.datasets.reading.dtypes import types_of
from penstock.datasets.reading.places import VersionTree
from penstock.datasets.reading.scan import scan_tables
from penstock.datasets.reading.tables import TableFile, is_table, open_table
from penstock.datasets.service import DatasetService
from penstock.datasets.types import DatasetVersion, Profile, Schema
from penstock.storage.objects.format import EntryKind, TreeEntry
from penstock.storage.objects.stored import StoredObjects

BATCH_ROWS = 65_536
_LISTED = 10_000  # files among which one is found whose path is nearly that


class StoredFile(Struct, frozen=True):
    """A file of a version."""

    path: str
    size: int  # bytes
    digest: Digest
    is_executable: bool = False


class DatasetReader:
    """A version of a dataset, read where it is kept: nothing is checked out, and what is not asked for stays there.

    Every byte is checked against its digest. Safe to use from several threads; what `open` gives is for one.

    Args:
        objects: has the files.
        version: which.

    Attributes:
        version: the record.
        objects: the store that has the files.
        tree: its files and folders by their paths.
    """

    def __init__(self, objects: StoredObjects, version: DatasetVersion) -> None:
        self.version = version
        self.tree = VersionTree(objects, version.tree)
        self.objects = objects

    @property
    def name(self) -> str:
        """The dataset and the number of the version, as `penstock.dataset` takes them."""
        return f"{self.version.dataset}@{self.version.version}"

    @property
    def schema(self) -> Schema:
        """The columns as they were recorded; none where files are of any kind."""
        return self.version.schema

    @property
    def profile(self) -> Profile:
        """What the values of each column look like, as it was recorded."""
        return self.version.profile

    def files(self) -> Iterator[StoredFile]:
        """Every file, in order of the folders and names; links are left out."""
        for path, entry in self.objects.list_files(self.version.tree):
            if entry.kind is not EntryKind.LINK:
                yield StoredFile(path, entry.size, entry.digest, entry.kind is EntryKind.EXECUTABLE)

    def open(self, path: str) -> BinaryIO:
        """A file as a seekable stream, of which only what is read is fetched; a link is followed.

        Raises:
            NotFoundError: there is no such file.
            CorruptDataError: it is not what was stored.
        """
        return self.objects.open(self.find_file(path).digest)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file, shorter only where the file ends; errors as `open`."""
        return self.objects.read_range(self.find_file(path).digest, offset, length)

    def find_file(self, path: str) -> TreeEntry:
        """What is known of a file; errors as `open`."""
        try:
            found = self.tree.find(path)
        except NotFoundError as error:
            is_small = self.version.file_count <= _LISTED
            near = nearest_hint(path, [file.path for file in self.files()]) if is_small else ""
            raise NotFoundError(f"dataset {self.name!r} has no file {path!r}", hint=near) from error
        if found.kind is EntryKind.FOLDER:
            raise NotFoundError(f"{path!r} of dataset {self.name!r} is a folder", hint="'files()' lists what is in it")
        return found

    def to_polars(self, files: str = "*") -> pl.LazyFrame:
        """The rows of all tables as a lazy frame, in order of their files.

        Parquet is read a row group at a time, and of it only the columns a query needs; where it filters, only the
        columns it filters by until a group has a row that passes. CSV and JSON Lines are read in pieces of some
        megabytes. So the rows need not fit into memory: `collect(engine="streaming")`, or `batches`.

        Args:
            files: a pattern for the paths of those to read, such as `2024/*.parquet`; `*` matches `/` as well.

        Raises:
            NotFoundError: no file matches.
            InvalidInputError: a file is no table, or has other columns.
        """
        is_whole = files == "*"
        types = types_of(self.schema) if is_whole else None
        return scan_tables(self._tables(files), types)

    def batches(
        self, rows: int = BATCH_ROWS, *, columns: Sequence[str] | None = None, files: str = "*"
    ) -> Iterator[pl.DataFrame]:
        """The rows in frames of `rows` rows each, the last one shorter; memory is bounded by them and a row group.

        Args:
            rows: of a frame.
            columns: only these; None for all.
            files: as for `to_polars`.

        Raises:
            InvalidInputError: there is no such column, or `rows` is not above 0.
        """
        if rows < 1:
            raise InvalidInputError(f"a batch has at least one row, not {rows}", field="rows")
        frame = self.to_polars(files)
        known = frame.collect_schema().names()
        for name in columns or ():
            check_column(name, known, f"dataset {self.name!r}")
        chosen = frame if columns is None else frame.select(columns)
        return _rebatch(chosen.collect_batches(maintain_order=True), rows)

    def to_arrow(self, files: str = "*") -> Any:
        """All rows as a `pyarrow.Table`; needs the extra `arrow`."""
        frame = self.to_polars(files).collect()
        try:
            return frame.to_arrow()
        except ImportError as error:
            raise _lacks("pyarrow", "arrow") from error

    def to_pandas(self, files: str = "*") -> Any:
        """All rows as a `pandas.DataFrame`; needs the extra `pandas`."""
        frame = self.to_polars(files).collect()
        try:
            return frame.to_pandas()
        except ImportError as error:
            raise _lacks("pandas with pyarrow", "pandas") from error

    def checkout(self, folder: str | Path) -> None:
        """Write all files to a folder, whole or not at all.

        Raises:
            ConflictError: the folder is there and not empty.
            StorageFullError: there is no room.
        """
        self.objects.checkout(self.version.tree, Path(folder))

    def __repr__(self) -> str:
        """The name, and how much it is."""
        return f"<dataset {self.name}: {self.version.rows:,} rows, {self.version.file_count:,} files>"

    def _tables(self, pattern: str) -> dict[str, TableFile]:
        found = [file for file in self.files() if fnmatchcase(file.path, pattern)]
        if not found:
            raise NotFoundError(f"dataset {self.name!r} has no file {pattern!r}")
        odd = [file.path for file in found if not is_table(file.path)]
        if odd and pattern == "*":
            raise InvalidInputError(
                f"dataset {self.name!r} holds what is no table, such as {odd[0]!r}",
                hint="choose files by a pattern, as in to_polars('*.parquet'), or read one with open()",
            )
        rows = {file.path: file.rows for file in self.version.files}
        return {
            file.path: open_table(file.path, partial(self.objects.open, file.digest), rows.get(file.path))
            for file in found
        }


def find_version(datasets: DatasetService, name: str) -> DatasetVersion:
    """The version that `NAME@VERSION` means; `NAME` alone is the newest.

    Raises:
        InvalidInputError: the version is no number.
        NotFoundError: no such dataset or version.
    """
    dataset, mark, number = name.partition("@")
    if mark and not (number.isascii() and number.isdigit() and int(number)):
        raise InvalidInputError(f"{name!r} names no version", hint=f"write it as in {dataset or 'sales'}@1")
    return datasets.get_version(dataset, int(number) if number else None)


def _rebatch(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    held: list[pl.DataFrame] = []
    height = 0
    for frame in frames:
        held.append(frame)
        height += frame.height
        if height < rows:
            continue
        whole = pl.concat(held)
        full = height - height % rows
        yield from whole.head(full).iter_slices(rows)
        held, height = [whole.slice(full)], height - full
    if height:
        yield pl.concat(held)


def _lacks(library: str, extra: str) -> InvalidInputError:
    return InvalidInputError(f"this needs {library}, which is not installed", hint=f"pip install 'penstock[{extra}]'")
