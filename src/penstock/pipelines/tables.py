"""The tables of pipelines."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata

pipeline_runs = Table(
    "pipeline_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project", String(250), nullable=False),
    Column("params", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("episode", String(64)),
    Column("until", UtcTime),
    Column("status", String(20), nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("requested_by", String(200), nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("worker", String(200), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("lease_expires_at", UtcTime),
    Column("error", Text, nullable=False),
    Column("candidate", Json),
    Column("rows", Json),
    Column("probe", Json),
    Column("probed", Json),
    Index("ix_pipeline_runs_status", "project", "status", "id"),
    Index("ix_pipeline_runs_project", "project", "id"),
)

pipeline_steps = Table(
    "pipeline_steps",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("key", String(64), nullable=False),
    Column("parts", Json, nullable=False),
    Column("output", Json),
    Column("message", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("cpu_s", Float, nullable=False),
    Column("peak_memory_bytes", BigInteger),
    Index("ix_pipeline_steps_key", "key", "run_id"),
)
