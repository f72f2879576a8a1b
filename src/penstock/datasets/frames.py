"""Tables from stored files, read without a checkout."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.datasets.types import DatasetVersion, Value
from penstock.storage.objects.object_store import ObjectStore

_EPOCH_UNITS = ((1e8, 1e11, "s"), (1e11, 1e14, "ms"), (1e14, 1e17, "us"))  # from 1973 on; smaller numbers are no dates
_TEXTS = (pl.Categorical, pl.Enum)  # how a file stores its texts is no business of its readers


_GZIP = b"\x1f\x8b"
_HEAD = 65_536  # bytes that tell how a CSV file is written
_DECIMAL_COMMA = re.compile(rb"(?:^|;)-?\d+,\d+(?:;|\r|\n|$)", re.MULTILINE)
_HINTS = {  # what the reader complains of, and what to do
    "utf-8": "save it as UTF-8, as in: iconv -f latin1 -t utf-8 OLD.csv > NEW.csv",
    "more fields": "a row has more values than the first line has names; put texts that hold the separator in quotes",
}


class SourceTable(Struct, frozen=True):
    """The rows of several files, one after the other, and how many came from which."""

    frame: pl.DataFrame
    rows: tuple[tuple[str, int], ...]  # path and number of rows

    def locate(self, row: int) -> tuple[str, int]:
        """The file a row came from, and its number there; the first row of a file is 1."""
        for path, count in self.rows:
            if row < count:
                return path, row + 1
            row -= count
        raise IndexError(row)


def read_version(
    objects: ObjectStore,
    version: DatasetVersion,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The rows of a version.

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
    frame = read_files(objects, [(file.path, file.digest) for file in version.files]).frame
    if since is not None or until is not None:
        frame = _between(frame, version, since, until)
    return frame if columns is None else frame.select(columns)


def read_files(objects: ObjectStore, files: Sequence[tuple[str, Digest]]) -> SourceTable:
    """The rows of stored files, which must have the same columns.

    Raises:
        InvalidInputError: a file cannot be read as what its name says, or its columns are others.
    """
    frames = [(path, _read(path, objects.get_bytes(digest))) for path, digest in files]
    first_path, first = frames[0]
    for path, frame in frames[1:]:
        if set(frame.columns) != set(first.columns):
            odd = sorted(set(frame.columns) ^ set(first.columns))
            raise InvalidInputError(f"{path} and {first_path} differ in the columns {', '.join(odd)}")
    try:
        whole = pl.concat([frame.select(first.columns) for _, frame in frames], how="vertical_relaxed", rechunk=True)
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"the files of this source do not fit together: {error}") from error
    return SourceTable(whole, tuple((path, frame.height) for path, frame in frames))


def read_table(path: Path) -> pl.DataFrame:
    """The rows of a file that is not stored.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it cannot be read as what its name says.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    return _read(str(path), path.read_bytes())


def is_readable(path: str) -> bool:
    """Whether a file's name ends as those that can be read do."""
    return _find_reader(path) is not None


def times_of(series: pl.Series) -> pl.Series | None:
    """A column as moments in UTC; None when its values are no times.

    Times without a zone are taken as UTC, days as their beginning, texts as ISO 8601, and large whole numbers as
    seconds, milliseconds or microseconds since 1970.
    """
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        moments = series.dt.convert_time_zone("UTC") if dtype.time_zone else series.dt.replace_time_zone("UTC")
        return moments.cast(pl.Datetime("us", "UTC"))
    if isinstance(dtype, pl.Date):
        return series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.String):
        return _parse_texts(series)
    if dtype.is_integer():
        return _parse_epochs(series)
    return None


def time_range(series: pl.Series) -> tuple[datetime | None, datetime | None]:
    """The first and last moment of a column; None where there is none."""
    times = times_of(series)
    if times is None or times.null_count() == len(times):
        return None, None
    first, last = times.min(), times.max()
    return (first, last) if isinstance(first, datetime) and isinstance(last, datetime) else (None, None)


def to_value(value: Any) -> Value:
    """One cell as a plain value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, pl.Series):
        value = value.to_list()
    return json.dumps(value, default=str)


def check_column(name: str, known: Sequence[str], where: str) -> None:
    """Refuse a column that is not there, naming the nearest that is."""
    if name not in known:
        raise InvalidInputError(f"{where} has no column {name!r}", hint=nearest_hint(name, known), field=name)


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


def _parse_texts(series: pl.Series) -> pl.Series | None:
    try:
        times = series.str.to_datetime(time_zone="UTC", time_unit="us", strict=False)
    except pl.exceptions.PolarsError:  # no form of time was recognised
        return None
    return None if times.null_count() > series.null_count() else times


def _parse_epochs(series: pl.Series) -> pl.Series | None:
    low, high = series.min(), series.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    for start, end, unit in _EPOCH_UNITS:
        if start <= low and high < end:
            scale = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1), "us": timedelta(microseconds=1)}[unit]
            return (series.cast(pl.Int64) * (scale // timedelta(microseconds=1))).cast(pl.Datetime("us", "UTC"))
    return None


def _read(path: str, body: bytes) -> pl.DataFrame:
    reader = _find_reader(path)
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise InvalidInputError(f"{path!r} is no file that can be read as a table", hint=f"names end with {known}")
    try:
        frame = reader(body)
    except (pl.exceptions.PolarsError, OSError, ValueError, EOFError, zlib.error) as error:
        told = str(error).splitlines()[0]
        hint = next((hint for sign, hint in _HINTS.items() if sign in told), "")
        raise InvalidInputError(f"{path} cannot be read: {told}", hint=hint) from error
    frame = frame.cast({name: pl.String for name, dtype in frame.schema.items() if isinstance(dtype, _TEXTS)})
    twice = [name.partition("_duplicated_")[0] for name in frame.columns if "_duplicated_" in name]
    if twice:
        raise InvalidInputError(f"{path} has the column {twice[0]!r} twice")
    return frame


def _read_csv(body: bytes, separator: str = "") -> pl.DataFrame:
    head = gzip.GzipFile(fileobj=io.BytesIO(body)).read(_HEAD) if body.startswith(_GZIP) else body[:_HEAD]
    separator = separator or _find_separator(head)
    # The whole file is looked at for its types: a column must not change its kind with the luck of the first rows.
    frame = pl.read_csv(
        io.BytesIO(body),
        separator=separator,
        try_parse_dates=True,
        infer_schema_length=None,
        decimal_comma=separator == ";" and _DECIMAL_COMMA.search(head) is not None,
    )
    # polars reads quotes within a quoted field, but leaves them doubled in the column names.
    return frame.rename({name: name.replace('""', '"') for name in frame.columns if '""' in name})


def _find_separator(head: bytes) -> str:
    """A comma, unless the names in the first line are set apart by something else and have no comma at all."""
    names = head.partition(b"\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark.encode() in names), ",")


def _read_tsv(body: bytes) -> pl.DataFrame:
    return _read_csv(body, "\t")


def _read_json_lines(body: bytes) -> pl.DataFrame:
    return pl.read_ndjson(io.BytesIO(body), infer_schema_length=None)


def _read_parquet(body: bytes) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(body))


_READERS: dict[str, Callable[[bytes], pl.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}


def _find_reader(path: str) -> Callable[[bytes], pl.DataFrame] | None:
    name = PurePosixPath(path).name.lower()
    return next((reader for ending, reader in _READERS.items() if name.endswith(ending)), None)
