"""The tables of evaluation. A report is kept whole as JSON; the columns beside it are there to find it."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table

from penstock.storage.columns import Json, UtcTime, metadata

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("task", String(20), nullable=False),
    Column("model", String(300), nullable=False, index=True),
    Column("data", String(300), nullable=False),
    Column("run_id", String(40), nullable=False, index=True),
    Column("primary", String(100), nullable=False),
    Column("primary_value", Float, nullable=True),
    Column("rows", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("content", Json, nullable=False),
    Index(None, "created_at", "id"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("report_id", String(64), nullable=False, index=True),
    Column("passed", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("content", Json, nullable=False),
)
