"""The table of deliveries."""

from sqlalchemy import BigInteger, Column, String, Table

from penstock.storage.columns import Json, UtcTime, metadata

deliveries = Table(
    "deliveries",
    metadata,
    Column("spool", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("refused", Json, nullable=False),
    Column("updated_at", UtcTime, nullable=False, index=True),
)
