"""Records to table rows and back; a record's fields are its table's columns."""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

S = TypeVar("S", bound=msgspec.Struct)


def to_row(record: msgspec.Struct) -> dict[str, Any]:
    """The record's fields by column name; the column types do the rest."""
    return {name: getattr(record, name) for name in record.__struct_fields__}


def from_row(kind: type[S], row: Row[Any]) -> S:
    """The record that a row holds; columns the record does not know are passed over."""
    held = row._asdict()  # asking the mapping itself takes three times as long
    return msgspec.convert({name: held[name] for name in kind.__struct_fields__ if name in held}, kind, strict=False)
