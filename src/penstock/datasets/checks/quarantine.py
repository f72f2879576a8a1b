"""Putting rows aside: each file becomes one with the rows that may stay, and one with the rows that break a check."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.datasets.checks.run import Checked
from penstock.datasets.frames.formats import explained, scan_file

REASONS = "reasons.jsonl"
_ROW = "__row"


class PutAside(Struct, frozen=True, kw_only=True):
    """Files in two halves; a file without bad rows is kept as it was.

    Attributes:
        kept: the files of the version, by their path.
        aside: the files of the quarantine by their path, `reasons.jsonl` among them.
        rows: how many rows were put aside, by file; files that lost none are not named.
        bad: which rows they were, a mask over the rows of the source's file.
    """

    kept: dict[str, Path]
    aside: dict[str, Path]
    rows: dict[str, int]
    bad: dict[str, NDArray[np.bool_]]

    def row_in_source(self, path: str, row: int) -> int:
        """The number that a row that was kept has in the source's file; both count from 1."""
        return row if path not in self.bad else int(np.flatnonzero(~self.bad[path])[row - 1]) + 1


class Reason(Struct, frozen=True):
    """A line of `reasons.jsonl`: a row that was put aside."""

    file: str
    row: int  # in the source's file; the first row of data is 1
    quarantine_row: int  # in the file of the same path in the quarantine
    checks: tuple[str, ...]  # the ones it breaks


def put_aside(files: Mapping[str, Path], checked: Checked, folder: Path) -> PutAside:
    """Part the rows of files by what checks marked; the lines of a text file stay as they were written.

    Args:
        files: by the path that each has in the version.
        checked: what the checks found in these files.
        folder: an empty one for the halves.

    Raises:
        InvalidInputError: the rows of a text file cannot be told apart.
    """
    kept, aside, lost = dict(files), {}, {}
    masks: dict[str, NDArray[np.bool_]] = {}
    with (folder / REASONS).open("wb") as reasons:
        start = 0
        for number, (path, count) in enumerate(checked.rows.items()):
            found = [(name, marks.within(start, count) - start) for name, marks in checked.marks]
            bad = np.zeros(count, dtype=np.bool_)
            for _, rows in found:
                bad[rows] = True
            if bad.any():
                halves = [folder / f"{number}-{half}-{Path(path).name}" for half in ("kept", "aside")]
                _part(path, files[path], bad, *halves)
                kept[path], aside[path] = halves
                lost[path] = int(bad.sum())
                masks[path] = bad
                reasons.writelines(codec.encode(reason) + b"\n" for reason in _reasons(path, bad, found))
            start += count
    return PutAside(kept=kept, aside=aside | {REASONS: folder / REASONS}, rows=lost, bad=masks)


def _reasons(path: str, bad: NDArray[np.bool_], found: list[tuple[str, NDArray[np.int64]]]) -> Iterator[Reason]:
    sets = [(name, set(rows.tolist())) for name, rows in found]
    for place, row in enumerate(np.flatnonzero(bad).tolist(), 1):
        yield Reason(path, row + 1, place, tuple(name for name, rows in sets if row in rows))


def _part(path: str, source: Path, bad: NDArray[np.bool_], kept: Path, aside: Path) -> None:
    if path.lower().endswith(".parquet"):
        _part_parquet(path, source, bad, kept, aside)
    else:
        _part_text(path, source, bad, kept, aside)


def _part_parquet(path: str, source: Path, bad: NDArray[np.bool_], kept: Path, aside: Path) -> None:
    is_bad = pl.col(_ROW).map_batches(
        lambda rows: pl.Series(bad[rows.to_numpy()]), return_dtype=pl.Boolean, is_elementwise=True
    )
    rows = scan_file(path, source).with_row_index(_ROW)
    with explained(path):
        rows.filter(~is_bad).drop(_ROW).sink_parquet(kept)
        rows.filter(is_bad).drop(_ROW).sink_parquet(aside)


def _part_text(path: str, source: Path, bad: NDArray[np.bool_], kept: Path, aside: Path) -> None:
    is_csv = not path.lower().endswith((".jsonl", ".ndjson"))
    with ExitStack() as stack:
        lines = stack.enter_context(_open(source, "rb"))
        halves = [stack.enter_context(_open(half, "wb")) for half in (kept, aside)]
        records = _records(lines) if is_csv else (line for line in lines if line.strip())
        if is_csv:
            header = next(records, b"")
            for half in halves:
                half.write(header)
        count = 0
        for record in records:
            if count < len(bad):
                halves[int(bad[count])].write(record if record.endswith(b"\n") else record + b"\n")
            count += 1
    if count != len(bad):
        raise InvalidInputError(
            f"the rows of {path} cannot be put aside: it has {len(bad):,} rows, and {count:,} where its quotes end",
            hint="double the quotes within quoted texts, or keep it as Parquet",
        )


def _records(lines: IO[bytes]) -> Iterator[bytes]:
    """The records of a CSV file; one goes on over the end of a line within quotes."""
    record = b""
    for line in lines:
        record += line
        if record.count(b'"') % 2 == 0:
            yield record
            record = b""
    if record:
        yield record


def _open(path: Path, mode: str) -> IO[bytes]:
    if not path.name.lower().endswith(".gz"):
        return path.open(mode)
    return gzip.GzipFile(path, mode, mtime=0)  # type: ignore[return-value]  # it reads and writes bytes as a file does
