"""Rows of a request, checked against the model's signature: a wrong value is refused, and its field named."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
import polars as pl
from msgspec import Meta, Struct

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import Column
from penstock.serving.http import BadRequestError

MAXIMUM_ROWS = 10_000
Place = Callable[[int, str], str]  # row and column -> the field as the caller wrote it
_MISSING = re.compile(r"missing required field `(.+?)`")
_ROW = re.compile(r"^\[(\d+)\]\.?(.*)$")

_LONG = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

# type in the signature -> how a JSON value is read, and the column it becomes
_KINDS: dict[str, tuple[Any, pl.DataType]] = {
    "string": (str, pl.String()),
    "category": (str, pl.String()),
    "long": (_LONG, pl.Int64()),
    "double": (float, pl.Float64()),
    "boolean": (bool, pl.Boolean()),
    "datetime": (datetime, pl.Datetime("us", "UTC")),
    "date": (date, pl.Date()),
}


class Rows(Struct, frozen=True):
    """The rows of one request: checked, and in the order of the signature's columns."""

    decoder: "InputDecoder"
    records: list[Any]

    def __len__(self) -> int:
        return len(self.records)

    def values(self, column: str) -> list[Any]:
        """One column."""
        name = self.decoder.attributes[column]
        return [getattr(record, name) for record in self.records]

    def frame(self) -> pl.DataFrame:
        """The rows as the model reads them; a time without a zone is UTC."""
        held = self.decoder.schema.items()
        return pl.DataFrame([_series(name, self.values(name), kind) for name, kind in held])

    def texts(self) -> list[str]:
        """Each row as a JSON object, for the log."""
        return [msgspec.json.encode(record).decode() for record in self.records]

    def take(self, places: Sequence[int]) -> "Rows":
        """Some of the rows."""
        return Rows(self.decoder, [self.records[place] for place in places])


class InputDecoder:
    """Reads rows of one signature. Made once per revision, since it compiles a decoder."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.schema: dict[str, pl.DataType] = {column.name: _KINDS[column.type][1] for column in columns}
        # Any text may name a column, but not an attribute: the record has its own names.
        self.attributes = {column.name: f"column_{place}" for place, column in enumerate(columns)}
        self._strict = _record_type(self.columns, strict=True)
        self._lenient = _record_type(self.columns, strict=False)
        self._json_strict = msgspec.json.Decoder(list[self._strict])  # type: ignore[name-defined]
        self._json_lenient = msgspec.json.Decoder(list[self._lenient])  # type: ignore[name-defined]

    def read_json(self, raw: bytes | msgspec.Raw, prefix: str, *, strict: bool) -> Rows:
        """A JSON list of objects.

        Args:
            raw: the list.
            prefix: what the caller called it.
            strict: refuse columns that the model does not know; otherwise they are passed over.
        """
        decoder = self._json_strict if strict else self._json_lenient
        try:
            return self._bound(decoder.decode(raw), prefix)
        except msgspec.ValidationError as error:
            raise self._explain(error, prefix, dotted(prefix)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequestError(f"the body is not valid JSON: {error}") from error

    def read_values(self, rows: Sequence[Any], what: str, place: Place, *, texts: bool = False) -> Rows:
        """Plain dicts, a row each; columns that the model does not know are passed over.

        Args:
            rows: column name -> value.
            what: what the caller called them.
            place: how the caller names a field.
            texts: the values are texts, as in CSV.
        """
        try:
            records = msgspec.convert(list(rows), list[self._lenient], strict=not texts)  # type: ignore[name-defined]
        except msgspec.ValidationError as error:
            raise self._explain(error, what, place) from error
        return self._bound(records, what)

    def _bound(self, records: list[Any], what: str) -> Rows:
        if not records:
            raise InvalidInputError(f"{what} holds no rows", hint="send at least one", field=what)
        if len(records) > MAXIMUM_ROWS:
            raise InvalidInputError(
                f"{len(records)} rows are more than one request may hold",
                hint=f"send at most {MAXIMUM_ROWS} at a time",
                field=what,
            )
        return Rows(self, records)

    def _explain(self, error: msgspec.ValidationError, what: str, place: Place) -> InvalidInputError:
        plain = codec.explain(error, self._strict)
        text = str(error).partition(" - at ")[0]
        inside = _ROW.match(plain.field)
        if inside is None:  # not the list that it should be
            return InvalidInputError(f"{what}: {text[:1].lower()}{text[1:]}", field=what)
        row, column = int(inside[1]), inside[2]
        missing = _MISSING.search(text)
        if missing:
            field = place(row, missing[1])
            return InvalidInputError(f"{field} is missing, and the model needs it", field=field)
        field = place(row, column)
        if "unknown field" in text:
            return InvalidInputError(f"the model has no input {field}", hint=plain.hint, field=field)
        return InvalidInputError(f"{field}: {text[:1].lower()}{text[1:]}", field=field)


def dotted(prefix: str) -> Place:
    """Fields as in `rows[3].age`."""
    return lambda row, column: f"{prefix}[{row}]" + (f".{column}" if column else "")


def _series(name: str, values: list[Any], kind: pl.DataType) -> pl.Series:
    if isinstance(kind, pl.Datetime):
        values = [value and (value if value.tzinfo else value.replace(tzinfo=UTC)) for value in values]
    return pl.Series(name, values, dtype=kind)


def _record_type(columns: Sequence[Column], *, strict: bool) -> type[Struct]:
    fields: list[Any] = []
    for place, column in enumerate(columns):
        kind = _KINDS[column.type][0]
        if column.required:
            fields.append((f"column_{place}", kind))
        else:
            fields.append((f"column_{place}", kind | None, None))
    names = {f"column_{place}": column.name for place, column in enumerate(columns)}
    return msgspec.defstruct("Row", fields, rename=names, kw_only=True, forbid_unknown_fields=strict)
