"""the inputs of predictions leave the log, and windows keep their sketches."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("segments", sa.Column("inputs_dropped_at", sa.BigInteger(), nullable=True))
    op.create_index(
        op.f("ix_segments_deployment_inputs_dropped_at_received_at"),
        "segments",
        ["deployment", "inputs_dropped_at", "received_at"],
    )
    op.add_column("monitoring_windows", sa.Column("kept", sa.Text(), nullable=True))
    op.add_column(
        "monitoring_references", sa.Column("is_final", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("external_versions", sa.Column("reference_dropped_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
