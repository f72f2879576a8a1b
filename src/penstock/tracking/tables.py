"""The tables of tracking, laid out for a million runs and a billion metric points."""

import struct

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.types import TypeDecorator

from penstock.storage.columns import Json, UtcTime, metadata, ordered_text, partial_index

_FLOAT = struct.Struct(">d")
_INTEGER = struct.Struct(">q")
_ALL_BUT_SIGN = 0x7FFF_FFFF_FFFF_FFFF
NAN = float("nan")
Point = tuple[str, int, int, int]  # key, step, microseconds since 1970, value as `to_sortable` gives it


class ExactFloat(TypeDecorator[float]):
    """A float kept as the integer that sorts the same way, bit for bit.

    SQLite would turn NaN into NULL, and no database lets a float stand in a key with a clear conscience; the points of
    a metric need both. NaN sorts above infinity.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_sortable(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> float | None:
        """From the database."""
        return None if value is None else from_sortable(value)


def to_sortable(value: float) -> int:
    """The integer of 64 bits that orders as the float does; every NaN gives the same one."""
    bits: int = _INTEGER.unpack(_FLOAT.pack(value if value == value else NAN))[0]
    return bits if bits >= 0 else bits ^ _ALL_BUT_SIGN


def from_sortable(value: int) -> float:
    """The float that `to_sortable` was given."""
    bits = value if value >= 0 else value ^ _ALL_BUT_SIGN
    number: float = _FLOAT.unpack(_INTEGER.pack(bits))[0]
    return number


def sorted_part(value: ColumnElement[str]) -> ColumnElement[str]:
    """As much of a text as its index knows; PostgreSQL's indexes take no long ones.

    A query uses the index only where it says just this; it compares the whole text as well.
    """
    return func.substr(value, literal_column("1"), literal_column("200"))


def _number() -> "Column[int]":
    """A key that the database gives out and never gives out again."""
    return Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _run() -> "Column[int]":
    return Column("run", BigInteger, ForeignKey("runs.number"), primary_key=True, autoincrement=False)


experiments = Table(
    "experiments",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", ordered_text(500), nullable=False, unique=True),
    Column("artifact_location", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("deleted_at", UtcTime),
    Column("created_by", String(200), nullable=False),
    sqlite_autoincrement=True,
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", BigInteger, ForeignKey("experiments.id"), primary_key=True, autoincrement=False),
    Column("key", String(250), primary_key=True),
    Column("value", ordered_text(), nullable=False),
    sqlite_with_rowid=False,
)

# Other nouns know a run by its `id`; what belongs to it points at its `number`, which is a fifth of the size.
runs = Table(
    "runs",
    metadata,
    _number(),
    Column("id", ordered_text(64), nullable=False, unique=True),
    Column("experiment_id", BigInteger, ForeignKey("experiments.id"), nullable=False),
    Column("name", ordered_text(250), nullable=False),
    Column("status", String(20), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("deleted_at", UtcTime),
    Column("sealed_at", UtcTime),
    Column("created_by", ordered_text(250), nullable=False),
    Column("artifact_uri", ordered_text(), nullable=False),
    Column("parent", String(64), index=True),
    Column("source", Json, nullable=False),
    Index(None, "experiment_id", "started_at", "id"),
    Index(None, "experiment_id", "ended_at", "id"),
    Index(None, "experiment_id", "name", "id"),
    Index(None, "started_at", "id"),
    Index(None, "status", "started_at"),
    partial_index("ix_runs_unsealed", "ended_at", where=text("ended_at IS NOT NULL AND sealed_at IS NULL")),
    sqlite_autoincrement=True,
)

# One row a metric of a run, with its latest point: the greatest step, then time, then value.
metric_series = Table(
    "metric_series",
    metadata,
    _number(),
    Column("run", BigInteger, ForeignKey("runs.number"), nullable=False),
    Column("experiment_id", BigInteger, nullable=False),
    Column("key", String(250), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("value", ExactFloat, nullable=False),
    UniqueConstraint("run", "key"),
    Index(None, "experiment_id", "key", "value", "run"),
    sqlite_autoincrement=True,
)

# A point is its own key, so that a batch sent twice is stored once; points are added and never changed. Those of a
# series lie together by time, as they mostly arrive.
metric_points = Table(
    "metric_points",
    metadata,
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("value", ExactFloat, primary_key=True),
    sqlite_with_rowid=False,
)

params = Table(
    "params",
    metadata,
    _run(),
    Column("experiment_id", BigInteger, nullable=False),
    Column("key", String(250), primary_key=True),
    Column("value", ordered_text(), nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_params_value", params.c.experiment_id, params.c.key, sorted_part(params.c.value), params.c.run)

run_tags = Table(
    "run_tags",
    metadata,
    _run(),
    Column("experiment_id", BigInteger, nullable=False),
    Column("key", String(250), primary_key=True),
    Column("value", ordered_text(), nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_run_tags_value", run_tags.c.experiment_id, run_tags.c.key, sorted_part(run_tags.c.value), run_tags.c.run)

run_inputs = Table(
    "run_inputs",
    metadata,
    _run(),
    Column("source", String(300), primary_key=True),
    Column("relation", String(50), nullable=False),
    sqlite_with_rowid=False,
)
