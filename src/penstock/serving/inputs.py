"""Rows of a request, checked against the model's signature: a wrong value is refused, and its field named."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Meta, Struct
from msgspec.structs import astuple, replace
from numpy.typing import NDArray

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import Column
from penstock.serving.http import BadRequestError
from penstock.stats.arrays import FloatArray

MAXIMUM_ROWS = 10_000
Place = Callable[[int, str], str]  # row and column -> the field as the caller wrote it
_MISSING = re.compile(r"missing required field `(.+?)`")
_ROW = re.compile(r"^\[(\d+)\]\.?(.*)$")
_NUMBER = re.compile(r"\[(\d+)\]")
_SHOWN = 20  # columns in a hint
_EXACT = 2.0**53  # a float64 holds every integer below
_encoder = msgspec.json.Encoder()
NUMBERS = ("double", "long", "boolean")  # the types that a matrix can hold
_PLAIN: dict[str, Callable[[float], Any]] = {"double": float, "long": int, "boolean": bool}

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


class Rows:
    """The rows of one request, or of several: checked, and in the order of the signature's columns."""

    __slots__ = ("_matrix", "_values", "decoder")

    def __init__(
        self, decoder: "InputDecoder", values: list[tuple[Any, ...]] | None, matrix: FloatArray | None = None
    ) -> None:
        self.decoder = decoder
        self._values = values
        self._matrix = matrix

    @classmethod
    def join(cls, parts: Sequence["Rows"]) -> "Rows":
        """The rows of several, one after the other; all of one signature."""
        if len(parts) == 1:
            return parts[0]
        if all(part._values is None for part in parts):
            return cls(parts[0].decoder, None, np.concatenate([part.matrix() for part in parts]))
        return cls(parts[0].decoder, [row for part in parts for row in part.tuples()])

    def __len__(self) -> int:
        return len(self._matrix) if self._values is None else len(self._values)  # type: ignore[arg-type]

    def tuples(self) -> list[tuple[Any, ...]]:
        """Each row's values."""
        if self._values is None:
            self._values = self.decoder.tuples_of(self.matrix())
        return self._values

    def matrix(self) -> FloatArray:
        """Shape (rows, columns) of a signature of numbers; a missing value is NaN."""
        if self._matrix is None:
            self._matrix = _to_matrix(self._values or [])
        return self._matrix

    def values(self, column: str) -> list[Any]:
        """One column."""
        place = self.decoder.places[column]
        return [row[place] for row in self.tuples()]

    def frame(self) -> pl.DataFrame:
        """The rows as the model reads them; a time without a zone is UTC."""
        columns = zip(*self.tuples(), strict=True)
        held = zip(self.decoder.schema.items(), columns, strict=True)
        return pl.DataFrame([_series(name, values, kind) for (name, kind), values in held])

    def texts(self) -> list[str]:
        """Each row as a JSON object, for the log."""
        names = self.decoder.schema
        return [_encoder.encode(dict(zip(names, row, strict=True))).decode() for row in self.tuples()]

    def exact_matrix(self) -> FloatArray | None:
        """The matrix, where it holds every value as it was given: not texts, and no integer beyond 2**53."""
        if not self.decoder.is_numeric:
            return None
        matrix, integers = self.matrix(), self.decoder.integers
        if integers and (np.abs(matrix[:, integers]) >= _EXACT).any():
            return None
        return matrix

    def take(self, places: Sequence[int]) -> "Rows":
        """Some of the rows."""
        if self._values is None:
            return Rows(self.decoder, None, self.matrix()[list(places)])
        return Rows(self.decoder, [self._values[place] for place in places])


class InputDecoder:
    """Reads rows of one signature. Made once per revision, since it compiles a decoder."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.schema: dict[str, pl.DataType] = {column.name: _KINDS[column.type][1] for column in columns}
        self.places = {column.name: place for place, column in enumerate(columns)}
        self.is_numeric = all(column.type in NUMBERS for column in columns)
        self.integers = [place for place, column in enumerate(columns) if column.type == "long"]
        self._strict = _record_type(self.columns, strict=True)
        self._lenient = _record_type(self.columns, strict=False)
        self._tuples = list[_tuple_type(self.columns)]  # type: ignore[misc]
        self._json_tuples = msgspec.json.Decoder(self._tuples)
        whole = _tuple_type([replace(column, required=True) for column in columns])
        self._json_whole = msgspec.json.Decoder(list[whole])  # type: ignore[valid-type]
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
            return self._bound([astuple(record) for record in decoder.decode(raw)], prefix)
        except msgspec.ValidationError as error:
            raise self._explain(error, prefix, dotted(prefix)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequestError(f"the body is not valid JSON: {error}") from error

    def read_json_lists(self, raw: bytes | msgspec.Raw, what: str) -> Rows | None:
        """A JSON list of lists, each in the order of the signature; None where it is not just that."""
        for decoder in (self._json_whole, self._json_tuples):  # rows in which nothing is missing are read faster
            try:
                return self._bound(decoder.decode(raw), what)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        return None

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
        return self._bound([astuple(record) for record in records], what)

    def read_lists(self, rows: Sequence[Sequence[Any]], what: str, place: Place) -> Rows:
        """Plain lists of values in the order of the signature, each as long as it, a row each."""
        try:
            return self._bound(msgspec.convert(rows, self._tuples), what)
        except msgspec.ValidationError as error:
            raise self._explain(error, what, place) from error

    def read_matrix(self, matrix: NDArray[Any], what: str, place: Place) -> Rows:
        """An array of shape (rows, columns) in the order of the signature, which holds numbers only.

        Raises:
            InvalidInputError: a value is missing where there has to be one, infinite, or no integer where one is asked.
        """
        _check_count(len(matrix), what)
        values = np.ascontiguousarray(matrix, dtype=np.float64)
        if matrix.dtype.kind in "iu" and (np.abs(values) >= _EXACT).any():
            return self.read_lists(matrix.tolist(), what, place)
        for at, column in enumerate(self.columns):
            self._check_column(values[:, at], column, what, place)
        return Rows(self, None, values)

    def tuples_of(self, matrix: FloatArray) -> list[tuple[Any, ...]]:
        """Rows as the other forms hold them: integers, booleans, and None for what is missing."""
        kinds = [_PLAIN[column.type] for column in self.columns]
        lists = ([None if v != v else kind(v) for v in matrix[:, at].tolist()] for at, kind in enumerate(kinds))
        return list(zip(*lists, strict=True))

    def _check_column(self, values: FloatArray, column: Column, what: str, place: Place) -> None:
        missing = np.isnan(values)
        wrong, told = np.isinf(values), "is not finite"
        if column.required and missing.any():
            wrong, told = missing, "is missing, and the model needs it"
        elif column.type == "long" and not wrong.any():
            wrong, told = ~missing & (values != np.trunc(values)), "is no integer"
        elif column.type == "boolean" and not wrong.any():
            wrong, told = ~missing & (values != 0) & (values != 1), "is neither 0 nor 1"
        if wrong.any():
            field = place(int(wrong.argmax()), column.name)
            raise InvalidInputError(f"{field} {told}", field=field)

    def _bound(self, values: list[tuple[Any, ...]], what: str) -> Rows:
        _check_count(len(values), what)
        return Rows(self, values)

    def _explain(self, error: msgspec.ValidationError, what: str, place: Place) -> InvalidInputError:
        plain = codec.explain(error, self._strict)
        text = str(error).partition(" - at ")[0]
        inside = _ROW.match(plain.field)
        if inside is None:  # not the list that it should be
            return InvalidInputError(f"{what}: {text[:1].lower()}{text[1:]}", field=what)
        row, column = int(inside[1]), self._name_column(inside[2])
        missing = _MISSING.search(text)
        if missing:
            field = place(row, missing[1])
            return InvalidInputError(f"{field} is missing, and the model needs it", field=field)
        field = place(row, column)
        if "unknown field" in text:
            return InvalidInputError(f"the model has no input {field}", hint=plain.hint, field=field)
        hint = "" if column == inside[2] else f"the order of a row's values is {self._tell_order()}"
        return InvalidInputError(f"{field}: {text[:1].lower()}{text[1:]}", hint=hint, field=field)

    def _tell_order(self) -> str:
        names = [column.name for column in self.columns]
        return ", ".join(names) if len(names) <= _SHOWN else ", ".join(names[:_SHOWN]) + ", ..."

    def _name_column(self, inside: str) -> str:
        """The column of a place in a row: a name, or the number that stands for it in a row that is a list."""
        number = _NUMBER.fullmatch(inside)
        return self.columns[int(number[1])].name if number else inside


def dotted(prefix: str) -> Place:
    """Fields as in `rows[3].age`."""
    return lambda row, column: f"{prefix}[{row}]" + (f".{column}" if column else "")


def _to_matrix(rows: list[tuple[Any, ...]]) -> FloatArray:
    try:
        flat = np.fromiter(chain.from_iterable(rows), np.float64, sum(map(len, rows)))
    except TypeError:  # a value is missing
        return np.array(rows, dtype=np.float64)
    return flat.reshape(len(rows), -1)


def _check_count(count: int, what: str) -> None:
    if not count:
        raise InvalidInputError(f"{what} holds no rows", hint="send at least one", field=what)
    if count > MAXIMUM_ROWS:
        raise InvalidInputError(
            f"{count} rows are more than one request may hold",
            hint=f"send at most {MAXIMUM_ROWS} at a time",
            field=what,
        )


def _series(name: str, values: Sequence[Any], kind: pl.DataType) -> pl.Series:
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
    # Any text may name a column, but not an attribute: the record has its own names.
    return msgspec.defstruct("Row", fields, rename=names, kw_only=True, forbid_unknown_fields=strict, gc=False)


def _tuple_type(columns: Sequence[Column]) -> Any:
    kinds = [_KINDS[column.type][0] for column in columns]
    return tuple[tuple(k if c.required else k | None for k, c in zip(kinds, columns, strict=True))]  # type: ignore[misc]
