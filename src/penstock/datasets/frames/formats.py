"""Files as rows that are read when they are asked for: CSV, JSON Lines, Parquet, Arrow, Excel."""

import glob
import gzip
import importlib.util
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import polars as pl

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, NotFoundError

Content = Path | io.BytesIO
TEXTS = (pl.Categorical, pl.Enum)  # how a file stores its texts is no business of its readers
_GZIP = b"\x1f\x8b"
HEAD = 65_536  # bytes that tell how a CSV file is written
_SMALL = 32 << 20  # bytes up to which polars looks at a whole CSV file for its types; it takes minutes a gigabyte
_FIRST_ROWS = 10_000  # that tell the types of a larger one, before all of it is tried against them
_DECIMAL_COMMA = re.compile(rb"(?:^|;)-?\d+,\d+(?:;|\r|\n|$)", re.MULTILINE)
_HINTS = {  # what the reader complains of, and what to do
    "utf-8": "save it as UTF-8, as in: iconv -f latin1 -t utf-8 OLD.csv > NEW.csv",
    "more fields": "a row has more values than the first line has names; put texts that hold the separator in quotes",
}


def read_table(path: Path) -> pl.DataFrame:
    """The rows of a file that is not stored.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it cannot be read as what its name says.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}")
    frame = scan_file(str(path), path)
    with explained(str(path)):
        return frame.collect()


def scan_file(name: str, content: Content, *, keep_categories: bool = False) -> pl.LazyFrame:
    """The rows of a file, read when they are collected, which is done inside `explained`.

    Args:
        name: its path as messages call it; its ending says what the file is.
        content: where it lies, or all of it.
        keep_categories: leave categories as they are stored; else they become texts.

    Raises:
        InvalidInputError: it cannot be read as what its name says.
    """
    scan = _find_scanner(name)
    if scan is None:
        known = ", ".join(sorted(_SCANNERS))
        raise InvalidInputError(f"{name!r} is no file that can be read as a table", hint=f"names end with {known}")
    with explained(name):
        frame = scan(content)
        schema = frame.collect_schema()
    twice = [column.partition("_duplicated_")[0] for column in schema if "_duplicated_" in column]
    if twice:
        raise InvalidInputError(f"{name} has the column {twice[0]!r} twice")
    return plain_texts(frame, but=pl.Categorical if keep_categories else None)


def plain_texts(frame: pl.LazyFrame, *, but: type[pl.DataType] | None = None) -> pl.LazyFrame:
    """Texts as such, however they were stored, unless they are of the type that is named."""
    texts = [(name, dtype) for name, dtype in frame.collect_schema().items() if isinstance(dtype, TEXTS)]
    return frame.cast({name: pl.String for name, dtype in texts if but is None or not isinstance(dtype, but)})


@contextmanager
def explained(name: str) -> Iterator[None]:
    """What goes wrong while a file is read, as an error that names it."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ValueError, EOFError, zlib.error) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        hint = next((hint for sign, hint in _HINTS.items() if sign in told), "")
        raise InvalidInputError(f"{name} cannot be read: {told}", hint=hint) from error


def is_readable(path: str) -> bool:
    """Whether a file's name ends as those that can be read do."""
    return _find_scanner(path) is not None


def check_column(name: str, known: Sequence[str], where: str) -> None:
    """Refuse a column that is not there, naming the nearest that is."""
    if name not in known:
        raise InvalidInputError(f"{where} has no column {name!r}", hint=nearest_hint(name, known), field=name)


def find_separator(path: str, content: Content) -> str:
    """What stands between the values of a CSV file: a tab, or what separates its names."""
    return "\t" if path.lower().endswith(".tsv") else separator_of(_head_of(content))


def _scan_csv(content: Content, separator: str = "") -> pl.LazyFrame:
    head = _head_of(content)
    separator = separator or separator_of(head)
    has_commas = has_decimal_commas(head, separator)
    # The whole file is looked at for its types: a column must not change its kind with the luck of the first rows.
    is_small = not isinstance(content, Path) or content.stat().st_size <= _SMALL
    frame = pl.scan_csv(
        content,
        glob=False,
        separator=separator,
        try_parse_dates=True,
        infer_schema_length=None if is_small else _FIRST_ROWS,
        decimal_comma=has_commas,
    )
    if not is_small:
        texts = pl.scan_csv(content, glob=False, separator=separator, infer_schema=False)
        types = _widen(dict(frame.collect_schema()), texts, has_commas=has_commas)
        frame = frame if types is None else _retype(texts, types, has_commas=has_commas)
    # polars reads quotes within a quoted field, but leaves them doubled in the column names.
    doubled = {name: name.replace('""', '"') for name in frame.collect_schema().names() if '""' in name}
    return frame.rename(doubled)


def _widen(types: dict[str, pl.DataType], texts: pl.LazyFrame, *, has_commas: bool) -> dict[str, pl.DataType] | None:
    """Types that every row has, from types that the first rows have; None where those do."""
    first = dict(types)
    for batch in texts.collect_batches(maintain_order=False):
        for name, broken in _broken(batch, types, has_commas=has_commas).items():
            while broken and types[name] != pl.String:
                types[name] = pl.Float64() if types[name] == pl.Int64 else pl.String()
                broken = _broken(batch.select(name), {name: types[name]}, has_commas=has_commas)[name]
    return None if types == first else types


def _broken(batch: pl.DataFrame, types: dict[str, pl.DataType], *, has_commas: bool) -> dict[str, bool]:
    """Which columns hold a text that is none of their type."""
    read = [
        (_as_type(name, dtype, has_commas=has_commas).is_null() & pl.col(name).is_not_null()).any().alias(name)
        for name, dtype in types.items()
    ]
    return {name: bool(value) for name, value in batch.select(read).row(0, named=True).items()}


def _retype(texts: pl.LazyFrame, types: dict[str, pl.DataType], *, has_commas: bool) -> pl.LazyFrame:
    return texts.select(_as_type(name, dtype, has_commas=has_commas).alias(name) for name, dtype in types.items())


def _as_type(name: str, dtype: pl.DataType, *, has_commas: bool) -> pl.Expr:
    text = pl.col(name)
    if isinstance(dtype, pl.String):
        return text
    if isinstance(dtype, pl.Boolean):
        return (
            pl.when(text.is_in(["true", "True", "TRUE"]))
            .then(True)
            .when(text.is_in(["false", "False", "FALSE"]))
            .then(False)
        )
    if isinstance(dtype, pl.Date):
        return text.str.to_date(strict=False)
    if isinstance(dtype, pl.Datetime):
        return text.str.to_datetime(strict=False, time_unit=dtype.time_unit, time_zone=dtype.time_zone)
    if isinstance(dtype, pl.Time):
        return text.str.to_time(strict=False)
    return (text.str.replace(",", ".", literal=True) if has_commas else text).cast(dtype, strict=False)


def _head_of(content: Content) -> bytes:
    if isinstance(content, Path):
        with content.open("rb") as file:
            return _first_bytes(file)
    try:
        return _first_bytes(content)
    finally:
        content.seek(0)


def _first_bytes(file: io.BufferedReader | io.BytesIO) -> bytes:
    head = file.read(HEAD)
    if not head.startswith(_GZIP):
        return head
    file.seek(0)
    return gzip.GzipFile(fileobj=file).read(HEAD)


def separator_of(head: bytes) -> str:
    """A comma, unless the names in the first line are set apart by something else and have no comma at all."""
    names = head.partition(b"\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark.encode() in names), ",")


def has_decimal_commas(head: bytes, separator: str) -> bool:
    """Whether the numbers of a CSV file are written with commas, as the beginning of it shows."""
    return separator == ";" and _DECIMAL_COMMA.search(head) is not None


def _scan_tsv(content: Content) -> pl.LazyFrame:
    return _scan_csv(content, "\t")


def _scan_json_lines(content: Content) -> pl.LazyFrame:
    source = glob.escape(str(content)) if isinstance(content, Path) else content  # it takes a path for a pattern
    return pl.scan_ndjson(source, infer_schema_length=None)


def _scan_parquet(content: Content) -> pl.LazyFrame:
    return pl.scan_parquet(content, glob=False)


def _scan_arrow(content: Content) -> pl.LazyFrame:
    source = glob.escape(str(content)) if isinstance(content, Path) else content
    return pl.scan_ipc(source)


def _scan_excel(content: Content) -> pl.LazyFrame:
    """The first sheet; its first row has the names."""
    if importlib.util.find_spec("fastexcel") is None:
        raise InvalidInputError(
            "Excel files need a library that is not installed", hint="pip install 'penstock[excel]'"
        )
    try:
        return pl.read_excel(content).lazy()
    except Exception as error:  # its reader has errors of its own, which are not importable where it is missing
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


_SCANNERS: dict[str, Callable[[Content], pl.LazyFrame]] = {
    ".csv": _scan_csv,
    ".csv.gz": _scan_csv,
    ".tsv": _scan_tsv,
    ".jsonl": _scan_json_lines,
    ".ndjson": _scan_json_lines,
    ".parquet": _scan_parquet,
    ".arrow": _scan_arrow,
    ".feather": _scan_arrow,
    ".ipc": _scan_arrow,
    ".xlsx": _scan_excel,
}


def _find_scanner(path: str) -> Callable[[Content], pl.LazyFrame] | None:
    name = PurePosixPath(path).name.lower()
    return next((scan for ending, scan in _SCANNERS.items() if name.endswith(ending)), None)
