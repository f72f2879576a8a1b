"""The tables of deployments that are served elsewhere."""

from sqlalchemy import Column, Integer, String, Table

from penstock.storage.columns import Json, UtcTime, metadata

external_deployments = Table(
    "external_deployments",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("task", String(20), nullable=False),
    Column("monitor", Json, nullable=False),
    Column("outcomes", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

external_versions = Table(
    "external_versions",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("inputs", Json, nullable=False),
    Column("classes", Json, nullable=False),
    Column("reference", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("reference_dropped_at", UtcTime, nullable=True),
)
