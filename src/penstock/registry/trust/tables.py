"""The tables of trust."""

from sqlalchemy import Boolean, Column, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata

trust_decisions = Table(
    "trust_decisions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("tree", String(64), nullable=False, index=True),
    Column("trusted", Boolean, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
)

model_signers = Table(
    "model_signers",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("name", String(250), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Column("added_by", String(200), nullable=False),
)

model_signatures = Table(
    "model_signatures",
    metadata,
    Column("tree", String(64), primary_key=True),
    Column("signer", String(64), primary_key=True),
    Column("bundle", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(200), nullable=False),
)
