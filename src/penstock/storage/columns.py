"""The column types and the metadata that every noun's tables share."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, ColumnElement, Dialect, Index, MetaData, String, Text, TextClause
from sqlalchemy.types import TypeDecorator, TypeEngine

from penstock.core import codec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + value * _MICROSECOND


def ordered_text(length: int | None = None) -> TypeEngine[str]:
    """A text that is ordered by its characters, as SQLite does, whatever language PostgreSQL was set up for."""
    kind = Text if length is None else String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


def partial_index(
    name: str, *columns: Column[Any] | str, where: ColumnElement[bool] | TextClause, unique: bool = False
) -> Index:
    """An index of those rows alone for which `where` holds, in both databases.

    PostgreSQL is told by the migrations only: to name an option of an engine is to import it, in every process.
    """
    return Index(name, *columns, unique=unique, sqlite_where=where)


class UtcTime(TypeDecorator[datetime]):
    """A moment, kept as microseconds since 1970 so that both databases order and compare it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else from_microseconds(value)


class Json(TypeDecorator[Any]):
    """Records, lists and dicts as canonical JSON text; read back as plain values."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else codec.encode_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From the database."""
        return None if value is None else msgspec.json.decode(value)
