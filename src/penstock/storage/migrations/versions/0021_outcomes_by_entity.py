"""outcomes by entity, maturity of windows, deployments served elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entity_outcomes",
        sa.Column("deployment", sa.String(length=128), nullable=False),
        sa.Column("entity", sa.String(length=256), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "entity", "at", name=op.f("pk_entity_outcomes")),
        sa.UniqueConstraint("number", name=op.f("uq_entity_outcomes_number")),
    )
    op.create_index(op.f("ix_entity_outcomes_deployment_at"), "entity_outcomes", ["deployment", "at"])
    op.create_index(op.f("ix_entity_outcomes_deployment_number"), "entity_outcomes", ["deployment", "number"])
    op.create_table(
        "external_deployments",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("task", sa.String(length=20), nullable=False),
        sa.Column("monitor", sa.Text(), nullable=False),
        sa.Column("outcomes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_external_deployments")),
    )
    op.create_table(
        "external_versions",
        sa.Column("deployment", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "version", name=op.f("pk_external_versions")),
    )
    op.add_column("monitoring_windows", sa.Column("maturity", sa.Text(), nullable=True))
    op.add_column("segments", sa.Column("settled_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_segments_deployment_settled_at"), "segments", ["deployment", "settled_at"])
    op.execute("UPDATE segments SET settled_at = last_at WHERE rows > 1")  # their rows came within seconds


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
