"""The tables of datasets."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("tree", String(64), nullable=False),
    Column("roles", Json, nullable=False),
    Column("schema", Json, nullable=False),
    Column("profile", Json, nullable=False),
    Column("files", Json, nullable=False),
    Column("file_count", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("time_start", UtcTime),
    Column("time_end", UtcTime),
    Column("provenance", Json),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)

check_reports = Table(
    "check_reports",
    metadata,
    Column("dataset", String(128), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer),
    Column("passed", Boolean, nullable=False),
    Column("tree", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("results", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("quarantine", Json),
    Index("ix_check_reports_version", "dataset", "version"),
)

dataset_splits = Table(
    "dataset_splits",
    metadata,
    Column("dataset", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", String(128), primary_key=True),
    Column("recipe", Json, nullable=False),
    Column("tree", String(64), nullable=False),
    Column("parts", Json, nullable=False),
    Column("left_out", BigInteger, nullable=False),
    Column("leaks", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)
