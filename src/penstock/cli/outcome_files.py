"""Files of outcomes: JSON Lines by prediction id, entity or caller's id, and tables by either of the first two."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import PredictionId
from penstock.predictions.types import EntityOutcome, Outcome

TABLES = (".csv", ".csv.gz", ".tsv", ".parquet", ".pq", ".arrow", ".feather")


class CallerOutcome(Struct, frozen=True):
    """What turned out to be true of a prediction that is named by what its caller called the request."""

    caller_id: str
    value: Any
    at: datetime


Told = Outcome | EntityOutcome | CallerOutcome


class Columns(Struct, frozen=True, kw_only=True):
    """Which column of a table means what; one of `entity` and `id` is empty."""

    entity: str
    id: str
    value: str
    time: str


class _Line(Struct, forbid_unknown_fields=True):
    value: Any
    prediction_id: PredictionId = PredictionId("")
    entity: str = ""
    caller_id: str = ""
    at: datetime | None = None


def read_outcomes(name: str, columns: Columns) -> list[Told]:
    """The outcomes of a file.

    Args:
        name: of the file; "-" reads JSON Lines from standard input.
        columns: of a table.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: rows are wrong; the first of them are named.
    """
    if name.lower().endswith(TABLES):
        return _read_table(Path(name), columns)
    text, written_at = _read_text(name)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [_read_line(name, number, line, written_at) for number, line in lines]


def _read_table(path: Path, columns: Columns) -> list[Told]:
    # They bring polars, which a command with a single outcome is quicker without.
    from penstock.datasets.frames.formats import read_table
    from penstock.monitoring.external.outcome_rows import read_outcome_rows

    frame = read_table(path)
    found = read_outcome_rows(frame, entity=columns.id or columns.entity, value=columns.value, time=columns.time)
    if not columns.id:
        return list(found)
    return [Outcome(prediction_id=PredictionId(item.entity), value=item.value, at=item.at) for item in found]


def _read_text(name: str) -> tuple[str, datetime]:
    """What a file says, and when it was written, so that the same file sent twice says the same twice."""
    if name == "-":
        return sys.stdin.read(), datetime.now(UTC)
    try:
        return Path(name).read_text(), datetime.fromtimestamp(Path(name).stat().st_mtime, UTC)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {name!r}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{name} is no text: {error}") from error


def _read_line(name: str, number: int, line: str, written_at: datetime) -> Told:
    try:
        read = codec.decode(line, _Line)
    except InvalidInputError as error:
        raise InvalidInputError(f"line {number} of {name}: {error.message}", hint=error.hint) from error
    if bool(read.prediction_id) + bool(read.entity) + bool(read.caller_id) != 1:
        raise InvalidInputError(
            f"line {number} of {name} has to name one of prediction_id, entity and caller_id",
        )
    at = read.at or written_at
    if read.caller_id:
        return CallerOutcome(read.caller_id, read.value, at)
    if read.entity:
        return EntityOutcome(entity=read.entity, value=read.value, at=at)
    return Outcome(prediction_id=read.prediction_id, value=read.value, at=at)
