"""rollout terms."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deployments", sa.Column("default", sa.Text(), server_default="{}", nullable=False))
    op.add_column("deployments", sa.Column("rules", sa.Text(), server_default="{}", nullable=False))
    op.add_column("rollouts", sa.Column("margins", sa.Text(), server_default="{}", nullable=False))
    op.add_column("rollouts", sa.Column("decide", sa.String(length=20), server_default="no_harm", nullable=False))
    op.add_column("rollouts", sa.Column("key", sa.String(length=200), nullable=True))
    op.add_column("gateway_reports", sa.Column("dropped_copies", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "rollout_measures",
        sa.Column("rollout", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rollout", "at", name=op.f("pk_rollout_measures")),
    )


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
