"""The tables of predictions. The predictions themselves lie in the object store, a segment at a time."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from penstock.storage.columns import Json, UtcTime, metadata

segments = Table(
    "segments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("deployment", String(128), nullable=False),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime, nullable=True),
    Column("rows", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("fallbacks", Integer, nullable=False),
    Column("revisions", Json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("inputs_dropped_at", UtcTime, nullable=True),
    Index(None, "deployment", "number"),
    Index(None, "deployment", "last_at"),
    Index(None, "deployment", "settled_at"),
    Index(None, "deployment", "received_at"),
    Index(None, "deployment", "inputs_dropped_at", "received_at"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("prediction_id", String(80), primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("segment", String(40), nullable=False),
    Column("deployment", String(128), nullable=True),  # null: no such prediction is known yet
    Column("value", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Index(None, "deployment", "number"),
    Index(None, "segment", "deployment", "number"),
)

entity_outcomes = Table(
    "entity_outcomes",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("entity", String(256), primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("value", Json, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Index(None, "deployment", "number"),
    Index(None, "deployment", "at"),
)

traffic_totals = Table(  # what all segments of a revision add up to, so that a page need not read them
    "traffic_totals",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("rows", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("fallbacks", BigInteger, nullable=False),
    Column("latency", Json, nullable=False),
)
