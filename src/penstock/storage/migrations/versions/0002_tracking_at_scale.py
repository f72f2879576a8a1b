"""Tracking for a million runs: numbers as keys, series of points, deletion, experiments with tags."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OLD = ("artifacts", "run_inputs", "run_tags", "params", "latest_metrics", "metric_points", "runs", "experiments")


def _ordered_text(length: int | None = None) -> sa.types.TypeEngine[str]:
    kind = sa.Text if length is None else sa.String
    return kind(length).with_variant(kind(length, collation="C"), "postgresql")


def upgrade() -> None:
    for table in OLD:  # those that point at others first
        op.execute(f"CREATE TABLE old_{table} AS SELECT * FROM {table}")
        op.drop_table(table)
    _create()
    _copy()
    for table in OLD:
        op.execute(f"DROP TABLE old_{table}")


def _create() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", _ordered_text(500), nullable=False),
        sa.Column("artifact_location", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "metric_points",
        sa.Column("series", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", "at", "step", "value", name=op.f("pk_metric_points")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", _ordered_text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_tags_experiment_id")),
        sa.PrimaryKeyConstraint("experiment_id", "key", name=op.f("pk_experiment_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", _ordered_text(64), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("name", _ordered_text(250), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("sealed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_by", _ordered_text(250), nullable=False),
        sa.Column("artifact_uri", _ordered_text(), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("fk_runs_experiment_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_runs")),
        sa.UniqueConstraint("id", name=op.f("uq_runs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_runs_experiment_id_ended_at_id"), "runs", ["experiment_id", "ended_at", "id"], unique=False
    )
    op.create_index(op.f("ix_runs_experiment_id_name_id"), "runs", ["experiment_id", "name", "id"], unique=False)
    op.create_index(
        op.f("ix_runs_experiment_id_started_at_id"), "runs", ["experiment_id", "started_at", "id"], unique=False
    )
    op.create_index(op.f("ix_runs_parent"), "runs", ["parent"], unique=False)
    op.create_index(op.f("ix_runs_started_at_id"), "runs", ["started_at", "id"], unique=False)
    op.create_index(op.f("ix_runs_status_started_at"), "runs", ["status", "started_at"], unique=False)
    unsealed = sa.text("ended_at IS NOT NULL AND sealed_at IS NULL")
    op.create_index("ix_runs_unsealed", "runs", ["ended_at"], sqlite_where=unsealed, postgresql_where=unsealed)
    op.create_table(
        "artifacts",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_artifacts_run_id")),
        sa.PrimaryKeyConstraint("run_id", "path", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "metric_series",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_metric_series_run")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_metric_series")),
        sa.UniqueConstraint("run", "key", name=op.f("uq_metric_series_run_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_metric_series_experiment_id_key_value_run"),
        "metric_series",
        ["experiment_id", "key", "value", "run"],
        unique=False,
    )
    op.create_table(
        "params",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", _ordered_text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_params_run")),
        sa.PrimaryKeyConstraint("run", "key", name=op.f("pk_params")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_inputs",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("relation", sa.String(length=50), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_run_inputs_run")),
        sa.PrimaryKeyConstraint("run", "source", name=op.f("pk_run_inputs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_tags",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", _ordered_text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name=op.f("fk_run_tags_run")),
        sa.PrimaryKeyConstraint("run", "key", name=op.f("pk_run_tags")),
        sqlite_with_rowid=False,
    )
    for table in ("params", "run_tags"):
        op.create_index(
            f"ix_{table}_value", table, ["experiment_id", "key", sa.text("substr(value, 1, 200)"), "run"], unique=False
        )


def _copy() -> None:
    now = time.time_ns() // 1000
    op.execute(
        "INSERT INTO experiments (id, name, artifact_location, created_at, updated_at, created_by) "
        "SELECT CASE WHEN name = 'Default' THEN 0 ELSE ROW_NUMBER() OVER (ORDER BY created_at, id) END, "
        "name, '', created_at, created_at, created_by FROM old_experiments"
    )
    op.execute(
        "INSERT INTO experiments (id, name, artifact_location, created_at, updated_at, created_by) "
        f"SELECT 0, 'Default', '', {now}, {now}, 'penstock' WHERE NOT EXISTS (SELECT 1 FROM experiments WHERE id = 0)"
    )
    op.execute(
        "INSERT INTO runs (id, experiment_id, name, status, started_at, ended_at, sealed_at, created_by, artifact_uri, "
        "parent, source) SELECT r.id, e.id, r.name, r.status, r.started_at, r.ended_at, r.ended_at, r.created_by, "
        "'mlflow-artifacts:/' || e.id || '/' || r.id || '/artifacts', r.parent, r.source FROM old_runs r "
        "JOIN old_experiments o ON o.id = r.experiment_id JOIN experiments e ON e.name = o.name "
        "ORDER BY r.started_at, r.id"
    )
    op.execute(
        "INSERT INTO metric_series (run, experiment_id, key, step, at, value) SELECT r.number, r.experiment_id, m.key, "
        "m.step, m.at, m.value FROM old_latest_metrics m JOIN runs r ON r.id = m.run_id ORDER BY r.number, m.key"
    )
    op.execute(
        "INSERT INTO metric_points (series, step, at, value) SELECT s.number, p.step, p.at, p.value "
        "FROM old_metric_points p JOIN runs r ON r.id = p.run_id "
        "JOIN metric_series s ON s.run = r.number AND s.key = p.key"
    )
    for table in ("params", "run_tags"):
        op.execute(
            f"INSERT INTO {table} (run, experiment_id, key, value) SELECT r.number, r.experiment_id, o.key, o.value "
            f"FROM old_{table} o JOIN runs r ON r.id = o.run_id"
        )
    op.execute(
        "INSERT INTO run_inputs (run, source, relation) SELECT r.number, o.source, o.relation "
        "FROM old_run_inputs o JOIN runs r ON r.id = o.run_id"
    )
    op.execute("INSERT INTO artifacts SELECT run_id, path, digest, size_bytes, created_at FROM old_artifacts")
    if op.get_bind().dialect.name == "postgresql":  # SQLite goes on after the largest by itself
        op.execute(
            "SELECT setval(pg_get_serial_sequence('experiments', 'id'), "
            "GREATEST(1, (SELECT MAX(id) FROM experiments)), (SELECT MAX(id) > 0 FROM experiments))"
        )
