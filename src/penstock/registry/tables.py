"""The tables of the model registry.

Rows belong to the `key` of a model, which stays what it is when the model is renamed. Deleted models and versions stay
as rows, so that no number is given twice and history can be read.
"""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Table, Text, and_

from penstock.storage.columns import Json, UtcTime, metadata, partial_index

KEY_LENGTH = 280  # a name, and what tells it from an earlier model of that name
START_LENGTH = 100  # characters of a tag's value that are indexed; a whole value may be too long for that

models = Table(
    "models",
    metadata,
    Column("key", String(KEY_LENGTH), primary_key=True),
    Column("name", String(250), nullable=False),
    Column("latest_version", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("updated_at", UtcTime, nullable=False, index=True),
    Column("deleted_at", UtcTime),
)
partial_index("ix_models_live_name", models.c.name, unique=True, where=models.c.deleted_at.is_(None))

model_tags = Table(
    "model_tags",
    metadata,
    Column("model", String(KEY_LENGTH), ForeignKey("models.key"), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    Column("start", String(START_LENGTH), nullable=False),
    Index(None, "key", "start"),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(KEY_LENGTH), ForeignKey("models.key"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("run_id", String(64), index=True),
    Column("tree", String(64), index=True),
    Column("task", String(20)),
    Column("flavor", String(50), nullable=False),
    Column("signature", Json, nullable=False),
    Column("classes", Json, nullable=False),
    Column("label", Text, nullable=False),
    Column("reference", String(64)),
    Column("report_id", String(64), index=True),
    Column("status", String(20), nullable=False),
    Column("stage", String(20), nullable=False),
    Column("description", Text, nullable=False),
    Column("source", String(500), nullable=False, index=True),
    Column("location", Text, nullable=False),
    Column("run_link", String(500), nullable=False),
    Column("logged_model_id", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
    Column("created_by", String(200), nullable=False),
    Column("updated_at", UtcTime, nullable=False, index=True),
    Column("deleted_at", UtcTime),
    Column("fast_form", Json),
    Column("fast_tree", String(64)),
)
partial_index(
    "ix_model_versions_uncompiled",
    model_versions.c.created_at,
    where=and_(*(model_versions.c[name].is_(None) for name in ("fast_form", "deleted_at"))),
)

model_version_tags = Table(
    "model_version_tags",
    metadata,
    Column("model", String(KEY_LENGTH), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    Column("start", String(START_LENGTH), nullable=False),
    ForeignKeyConstraint(["model", "version"], ["model_versions.model", "model_versions.version"]),
    Index(None, "key", "start"),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    Column("model", String(KEY_LENGTH), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("moved_at", UtcTime, nullable=False),
    Column("moved_by", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["model_versions.model", "model_versions.version"]),
)

model_history = Table(
    "model_history",
    metadata,
    Column("model", String(KEY_LENGTH), ForeignKey("models.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("alias", String(255), nullable=False),
    Column("version", Integer),
    Column("before", String(250)),
    Column("after", String(250)),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Index(None, "model", "alias", "number"),
    Index(None, "kind", "before"),
)
