"""The tables of logged models, laid out for hundreds of thousands of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from penstock.storage.columns import UtcTime, metadata
from penstock.tracking.tables import ExactFloat, sorted_part

logged_models = Table(
    "logged_models",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("experiment_id", BigInteger, ForeignKey("experiments.id"), nullable=False),
    Column("name", String(500), nullable=False),
    Column("model_type", String(500), nullable=False),
    Column("source_run_id", String(256), nullable=False, index=True),
    Column("status", String(20), nullable=False),
    Column("status_message", Text, nullable=False),
    Column("artifact_uri", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("deleted_at", UtcTime),
    Index(None, "experiment_id", "created_at", "id"),
    Index(None, "experiment_id", "name"),
)


def _model_id() -> "Column[str]":
    return Column("model_id", String(64), ForeignKey("logged_models.id"), primary_key=True)


logged_model_params = Table(
    "logged_model_params",
    metadata,
    _model_id(),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "ix_logged_model_params_value",
    logged_model_params.c.key,
    sorted_part(logged_model_params.c.value),
    logged_model_params.c.model_id,
)

logged_model_tags = Table(
    "logged_model_tags",
    metadata,
    _model_id(),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index(
    "ix_logged_model_tags_value",
    logged_model_tags.c.key,
    sorted_part(logged_model_tags.c.value),
    logged_model_tags.c.model_id,
)

# A point is its own key, so that one sent twice is stored once. It refers to nothing that has to exist: points arrive
# in groups of many callers, and one that names a strange model must not fail the others.
logged_model_metrics = Table(
    "logged_model_metrics",
    metadata,
    Column("model_id", String(64), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("dataset", String(32), primary_key=True),  # digest of the dataset's name and digest: a key of bounded size
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, primary_key=True),
    Column("value", ExactFloat, primary_key=True),
    Column("dataset_name", String(500), nullable=False),
    Column("dataset_digest", String(64), nullable=False),
    Index(None, "key", "value", "model_id"),
    sqlite_with_rowid=False,
)
