"""The table of upkeep: one row, which names this database."""

from sqlalchemy import Column, String, Table

from penstock.storage.columns import UtcTime, metadata

database_identity = Table(
    "database_identity",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
)
