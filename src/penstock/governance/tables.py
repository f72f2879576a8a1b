"""The tables of the ledger."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from penstock.storage.columns import Json, UtcTime, metadata

audit_events = Table(
    "audit_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(100), nullable=False, index=True),
    Column("subject_kind", String(60), nullable=False),
    Column("subject_id", String(300), nullable=False, index=True),
    Column("detail", Json, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

lineage_edges = Table(
    "lineage_edges",
    metadata,
    Column("source", String(400), primary_key=True),
    Column("target", String(400), primary_key=True, index=True),
    Column("relation", String(60), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("event", BigInteger, nullable=False),
)
