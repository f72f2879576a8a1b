"""The tables of tracking, laid out for tens of thousands of runs and tens of millions of metric points."""

import struct

from sqlalchemy import BigInteger, Column, Dialect, ForeignKey, Index, String, Table, Text
from sqlalchemy.types import TypeDecorator

from penstock.storage.columns import Json, UtcTime, metadata

_FLOAT = struct.Struct(">d")
_INTEGER = struct.Struct(">q")
_ALL_BUT_SIGN = 0x7FFF_FFFF_FFFF_FFFF
NAN = float("nan")


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


def _run_id() -> "Column[str]":
    return Column("run_id", String(64), ForeignKey("runs.id"), primary_key=True)


experiments = Table(
    "experiments",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(250), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("experiment_id", String(64), ForeignKey("experiments.id"), nullable=False),
    Column("name", String(250), nullable=False),
    Column("status", String(20), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("created_by", String(200), nullable=False),
    Column("parent", String(64), index=True),
    Column("source", Json, nullable=False),
    Index(None, "experiment_id", "started_at", "id"),
    Index(None, "started_at", "id"),
    Index(None, "status", "started_at"),
)

# A point is its own key, so that a batch sent twice is stored once. Rows lie together by run and key.
metric_points = Table(
    "metric_points",
    metadata,
    _run_id(),
    Column("key", String(250), primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("value", ExactFloat, primary_key=True),
    sqlite_with_rowid=False,
)

latest_metrics = Table(
    "latest_metrics",
    metadata,
    _run_id(),
    Column("key", String(250), primary_key=True),
    Column("step", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("value", ExactFloat, nullable=False),
    Index(None, "key", "value"),
    sqlite_with_rowid=False,
)

params = Table(
    "params",
    metadata,
    _run_id(),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

run_tags = Table(
    "run_tags",
    metadata,
    _run_id(),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

run_inputs = Table(
    "run_inputs",
    metadata,
    _run_id(),
    Column("source", String(300), primary_key=True),
    Column("relation", String(50), nullable=False),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    _run_id(),
    Column("path", String(1000), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
