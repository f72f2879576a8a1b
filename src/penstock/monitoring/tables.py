"""The tables of monitoring."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, false

from penstock.storage.columns import Json, UtcTime, metadata

windows = Table(
    "monitoring_windows",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("start", UtcTime, primary_key=True),
    Column("end", UtcTime, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("outcomes", Integer, nullable=False),
    Column("version", Integer),
    Column("number", Integer, nullable=False),
    Column("level", Float),
    Column("drift", Json, nullable=False),
    Column("drift_note", Text, nullable=False),
    Column("segment_notes", Json, nullable=False, server_default="[]"),
    Column("performance", Json),
    Column("below_bar", Boolean, nullable=False),
    Column("loss", Json),
    Column("watches", Json, nullable=False, server_default="[]"),
    Column("estimate", Json),
    Column("groups", Json, nullable=False, server_default="[]"),
    Column("maturity", Json),
    Column("revisions", Json, nullable=False),
    Column("sketches", String(64)),
    Column("kept", Json),
    Column("computed_at", UtcTime),
)

cursors = Table(
    "monitoring_cursors",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("segments", BigInteger, nullable=False),
    Column("outcomes", BigInteger, nullable=False),
    Column("closed_until", UtcTime),
)

references = Table(
    "monitoring_references",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sample", String(64), nullable=False),
    Column("key", String(200)),
    Column("sketch", String(64), nullable=False),
    Column("is_final", Boolean, nullable=False, server_default=false()),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("deployment", String(128), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("window_start", UtcTime, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("summary", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("severity", String(20), nullable=False, server_default="notice"),
    Column("status", String(20), nullable=False),
    Column("resolved_at", UtcTime),
    Column("resolved_as_of", UtcTime),
    Column("resolution", Text, nullable=False),
    Index("ix_alerts_deployment_status", "deployment", "status"),
)
