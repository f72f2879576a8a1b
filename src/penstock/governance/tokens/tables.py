"""The tables of tokens and of browsers' sessions; a secret is in neither."""

from sqlalchemy import Column, String, Table, text

from penstock.storage.columns import UtcTime, metadata, partial_index

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("role", String(20), nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the token
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
)
_IS_LIVE = text("revoked_at IS NULL")
partial_index("uq_tokens_live_name", tokens.c.name, unique=True, where=_IS_LIVE)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the cookie's value
    Column("token", String(16), nullable=False, index=True),  # the id of the token that was shown; empty: the server's
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)
