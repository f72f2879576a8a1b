"""The tables of traces and their spans."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata
from penstock.tracking.tables import sorted_part

traces = Table(
    "traces",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("experiment_id", BigInteger, ForeignKey("experiments.id"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("duration_ms", BigInteger),
    Column("client_request_id", String(250), nullable=False, index=True),
    Column("request_preview", Text, nullable=False),
    Column("response_preview", Text, nullable=False),
    Column("is_announced", Boolean, nullable=False),
    Index(None, "experiment_id", "started_at", "id"),
)


def _trace_id() -> "Column[str]":
    return Column("trace_id", String(64), ForeignKey("traces.id"), primary_key=True)


trace_tags = Table(
    "trace_tags",
    metadata,
    _trace_id(),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_trace_tags_value", trace_tags.c.key, sorted_part(trace_tags.c.value), trace_tags.c.trace_id)

trace_metadata = Table(
    "trace_metadata",
    metadata,
    _trace_id(),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_trace_metadata_value", trace_metadata.c.key, sorted_part(trace_metadata.c.value), trace_metadata.c.trace_id)

spans = Table(
    "spans",
    metadata,
    _trace_id(),
    Column("span_id", String(16), primary_key=True),
    Column("parent_id", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", BigInteger, nullable=False),
    Column("started_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("message", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("events", Json, nullable=False),
    Column("links", Json, nullable=False),
)
