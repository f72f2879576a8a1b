"""Logged models, inputs and outputs of runs, traces."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "logged_model_metrics",
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("dataset_name", sa.String(length=500), nullable=False),
        sa.Column("dataset_digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id", "key", "run_id", "dataset", "step", "at", "value", name=op.f("pk_logged_model_metrics")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_logged_model_metrics_key_value_model_id"),
        "logged_model_metrics",
        ["key", "value", "model_id"],
        unique=False,
    )
    op.create_table(
        "logged_datasets",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=36), nullable=False),
        sa.Column("source_type", sa.String(length=100), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("fk_logged_datasets_experiment_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_logged_datasets")),
        sa.UniqueConstraint(
            "experiment_id", "name", "digest", name=op.f("uq_logged_datasets_experiment_id_name_digest")
        ),
    )
    op.create_index(op.f("ix_logged_datasets_digest"), "logged_datasets", ["digest"], unique=False)
    op.create_index(op.f("ix_logged_datasets_name"), "logged_datasets", ["name"], unique=False)
    op.create_table(
        "logged_models",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("model_type", sa.String(length=500), nullable=False),
        sa.Column("source_run_id", sa.String(length=256), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=False),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("fk_logged_models_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logged_models")),
    )
    op.create_index(
        op.f("ix_logged_models_experiment_id_created_at_id"),
        "logged_models",
        ["experiment_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_logged_models_experiment_id_name"), "logged_models", ["experiment_id", "name"], unique=False
    )
    op.create_index(op.f("ix_logged_models_source_run_id"), "logged_models", ["source_run_id"], unique=False)
    op.create_table(
        "traces",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("client_request_id", sa.String(length=250), nullable=False),
        sa.Column("request_preview", sa.Text(), nullable=False),
        sa.Column("response_preview", sa.Text(), nullable=False),
        sa.Column("is_announced", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("fk_traces_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traces")),
    )
    op.create_index(op.f("ix_traces_client_request_id"), "traces", ["client_request_id"], unique=False)
    op.create_index(
        op.f("ix_traces_experiment_id_started_at_id"), "traces", ["experiment_id", "started_at", "id"], unique=False
    )
    op.create_table(
        "dataset_inputs",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("context", sa.String(length=500), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["logged_datasets.number"], name=op.f("fk_dataset_inputs_dataset")),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_dataset_inputs_run")),
        sa.PrimaryKeyConstraint("run", "dataset", name=op.f("pk_dataset_inputs")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_dataset_inputs_context_run"), "dataset_inputs", ["context", "run"], unique=False)
    op.create_index(
        op.f("ix_dataset_inputs_dataset_context_run"), "dataset_inputs", ["dataset", "context", "run"], unique=False
    )
    op.create_table(
        "logged_model_params",
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["logged_models.id"], name=op.f("fk_logged_model_params_model_id")),
        sa.PrimaryKeyConstraint("model_id", "key", name=op.f("pk_logged_model_params")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "logged_model_tags",
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["logged_models.id"], name=op.f("fk_logged_model_tags_model_id")),
        sa.PrimaryKeyConstraint("model_id", "key", name=op.f("pk_logged_model_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_inputs",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_model_inputs_run")),
        sa.PrimaryKeyConstraint("run", "model_id", name=op.f("pk_model_inputs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_outputs",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_model_outputs_run")),
        sa.PrimaryKeyConstraint("run", "model_id", "step", name=op.f("pk_model_outputs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spans",
        sa.Column("trace_id", sa.String(length=64), nullable=False),
        sa.Column("span_id", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("links", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_id"], ["traces.id"], name=op.f("fk_spans_trace_id")),
        sa.PrimaryKeyConstraint("trace_id", "span_id", name=op.f("pk_spans")),
    )
    op.create_table(
        "trace_metadata",
        sa.Column("trace_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_id"], ["traces.id"], name=op.f("fk_trace_metadata_trace_id")),
        sa.PrimaryKeyConstraint("trace_id", "key", name=op.f("pk_trace_metadata")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trace_tags",
        sa.Column("trace_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace_id"], ["traces.id"], name=op.f("fk_trace_tags_trace_id")),
        sa.PrimaryKeyConstraint("trace_id", "key", name=op.f("pk_trace_tags")),
        sqlite_with_rowid=False,
    )
    for table in ("logged_model_params", "logged_model_tags"):
        _index_values(table, "model_id")
    for table in ("trace_metadata", "trace_tags"):
        _index_values(table, "trace_id")


def _index_values(table: str, owner: str) -> None:
    op.create_index(f"ix_{table}_value", table, ["key", sa.text("substr(value, 1, 200)"), owner], unique=False)


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
