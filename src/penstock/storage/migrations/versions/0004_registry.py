"""the registry as MLflow's clients use it: descriptions, tags, stages, sources, deletions, and one history."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OLD = ("model_aliases", "model_version_tags", "alias_moves", "model_versions", "models")  # children first


def upgrade() -> None:
    """Make the tables anew and fill them from the old ones: both databases can do that in the same way."""
    for table in OLD:
        op.execute(f"CREATE TABLE old_{table} AS SELECT * FROM {table}")
        op.drop_table(table)
    _create_tables()
    _copy_rows()
    for table in OLD:
        op.drop_table(f"old_{table}")
    with op.batch_alter_table("revisions") as revisions:
        revisions.alter_column("model", existing_type=sa.String(length=128), type_=sa.String(length=250))


def _create_tables() -> None:
    op.create_table(
        "models",
        sa.Column("key", sa.String(length=280), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_models")),
    )
    op.create_index(op.f("ix_models_updated_at"), "models", ["updated_at"], unique=False)
    op.create_index(
        "ix_models_live_name",
        "models",
        ["name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "model_tags",
        sa.Column("model", sa.String(length=280), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("start", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.key"], name=op.f("fk_model_tags_model")),
        sa.PrimaryKeyConstraint("model", "key", name=op.f("pk_model_tags")),
    )
    op.create_index(op.f("ix_model_tags_key_start"), "model_tags", ["key", "start"], unique=False)
    op.create_table(
        "model_versions",
        sa.Column("model", sa.String(length=280), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("tree", sa.String(length=64), nullable=True),
        sa.Column("task", sa.String(length=20), nullable=True),
        sa.Column("flavor", sa.String(length=50), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("report_id", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=500), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("run_link", sa.String(length=500), nullable=False),
        sa.Column("logged_model_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["model"], ["models.key"], name=op.f("fk_model_versions_model")),
        sa.PrimaryKeyConstraint("model", "version", name=op.f("pk_model_versions")),
    )
    for column in ("created_at", "report_id", "run_id", "source", "tree", "updated_at"):
        op.create_index(op.f(f"ix_model_versions_{column}"), "model_versions", [column], unique=False)
    op.create_table(
        "model_version_tags",
        sa.Column("model", sa.String(length=280), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("start", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["model_versions.model", "model_versions.version"],
            name=op.f("fk_model_version_tags_model_version"),
        ),
        sa.PrimaryKeyConstraint("model", "version", "key", name=op.f("pk_model_version_tags")),
    )
    op.create_index(op.f("ix_model_version_tags_key_start"), "model_version_tags", ["key", "start"], unique=False)
    op.create_table(
        "model_aliases",
        sa.Column("model", sa.String(length=280), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.Column("moved_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "version"],
            ["model_versions.model", "model_versions.version"],
            name=op.f("fk_model_aliases_model_version"),
        ),
        sa.PrimaryKeyConstraint("model", "alias", name=op.f("pk_model_aliases")),
    )
    op.create_table(
        "model_history",
        sa.Column("model", sa.String(length=280), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("alias", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("before", sa.String(length=250), nullable=True),
        sa.Column("after", sa.String(length=250), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["models.key"], name=op.f("fk_model_history_model")),
        sa.PrimaryKeyConstraint("model", "number", name=op.f("pk_model_history")),
    )
    op.create_index(
        op.f("ix_model_history_model_alias_number"), "model_history", ["model", "alias", "number"], unique=False
    )
    op.create_index(op.f("ix_model_history_kind_before"), "model_history", ["kind", "before"], unique=False)


def _copy_rows() -> None:
    op.execute(
        "INSERT INTO models (key, name, latest_version, description, created_at, created_by, updated_at) "
        "SELECT name, name, latest_version, '', created_at, created_by, created_at FROM old_models"
    )
    kept = (
        "model, version, run_id, tree, task, flavor, signature, classes, label, reference, report_id, status, "
        "created_at, created_by"
    )
    op.execute(
        f"INSERT INTO model_versions ({kept}, updated_at, stage, description, source, location, run_link, "
        f"logged_model_id) SELECT {kept}, created_at, 'None', '', '', '', '', '' FROM old_model_versions"
    )
    op.execute(
        "INSERT INTO model_version_tags (model, version, key, value, start) "
        "SELECT model, version, key, value, substr(value, 1, 100) FROM old_model_version_tags"
    )
    columns = "model, alias, version, moved_at, moved_by, reason"
    op.execute(f"INSERT INTO model_aliases ({columns}) SELECT {columns} FROM old_model_aliases")
    op.execute(
        r"""
        INSERT INTO model_history (model, number, at, actor, kind, alias, version, "before", "after", reason, evidence)
        SELECT
            m.model, ROW_NUMBER() OVER (PARTITION BY m.model ORDER BY m.at, m.alias, m.number), m.at, m.actor, 'alias',
            m.alias, m."after", CAST(m."before" AS TEXT), CAST(m."after" AS TEXT), m.reason,
            CASE WHEN v.report_id IS NULL THEN '[]' ELSE '["report' || '\:' || v.report_id || '"]' END
        FROM old_alias_moves AS m
        LEFT JOIN old_model_versions AS v ON v.model = m.model AND v.version = m."after"
        """
    )
