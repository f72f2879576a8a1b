"""The tables of the model registry."""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata

models = Table(
    "models",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("latest_version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(128), ForeignKey("models.name"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("run_id", String(64), index=True),
    Column("tree", String(64), nullable=False, index=True),
    Column("task", String(20), nullable=False),
    Column("flavor", String(50), nullable=False),
    Column("signature", Json, nullable=False),
    Column("classes", Json, nullable=False),
    Column("label", Text, nullable=False),
    Column("reference", String(64)),
    Column("report_id", String(64), index=True),
    Column("status", String(20), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Index(None, "created_at"),
)

model_version_tags = Table(
    "model_version_tags",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["model_versions.model", "model_versions.version"]),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("alias", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("moved_at", UtcTime, nullable=False),
    Column("moved_by", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["model_versions.model", "model_versions.version"]),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("alias", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("before", Integer),
    Column("after", Integer),
)
