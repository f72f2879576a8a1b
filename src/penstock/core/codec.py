"""Strict JSON in and out, typed by records; a mistake names the field and the nearest known name."""

import difflib
import re
from collections.abc import Iterable
from typing import Any, TypeVar, get_type_hints

import msgspec

from penstock.core.errors import InvalidInputError

T = TypeVar("T")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.+?)`")
_AT = re.compile(r" - at `\$?\.?(.*?)`$")
_encoder = msgspec.json.Encoder(order="deterministic")


def encode(value: object) -> bytes:
    """Canonical JSON: keys sorted, UTF-8, no spaces. NaN and infinities become null, as JSON has none."""
    return _encoder.encode(value)


def encode_text(value: object) -> str:
    """Canonical JSON as text."""
    return _encoder.encode(value).decode()


def decode(body: bytes | str, kind: type[T]) -> T:
    """JSON as a record of `kind`.

    Raises:
        InvalidInputError: the body is no JSON, or does not fit; `field` says where.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise explain(error, kind) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"the body is not valid JSON: {error}") from error


def convert(value: object, kind: type[T], *, strict: bool = True) -> T:
    """Plain Python values as a record of `kind`; `strict=False` also reads numbers and booleans from text.

    Raises:
        InvalidInputError: the value does not fit; `field` says where.
    """
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise explain(error, kind) from error


def to_builtins(value: object) -> Any:
    """Records as plain dicts, lists, numbers and texts."""
    return msgspec.to_builtins(value)


def explain(error: msgspec.ValidationError, kind: object) -> InvalidInputError:
    """The same mistake in the words of this project: which field, and the nearest known name."""
    text = str(error)
    place = _AT.search(text)
    field = place.group(1) if place else ""
    message = _AT.sub("", text)
    message = message[:1].lower() + message[1:]
    hint = ""
    unknown = _UNKNOWN_FIELD.search(text)
    if unknown:
        name = unknown.group(1)
        field = f"{field}.{name}" if field else name
        message = f"there is no field {name!r} here"
        hint = nearest_hint(name, known_fields(kind))
    where = f"{field}: " if field and not unknown else ""
    return InvalidInputError(where + message, hint=hint, field=field)


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` where a known name is near, else the list of known names."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(known)}" if known else ""


def known_fields(kind: object) -> list[str]:
    """The field names of a record type, and of the records inside it one level down; empty for other types."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return []
    names = list(kind.__struct_encode_fields__)
    for hint in get_type_hints(kind).values():
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            names.extend(hint.__struct_encode_fields__)
    return names
