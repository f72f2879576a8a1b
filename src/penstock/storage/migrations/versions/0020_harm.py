"""harm: watches, estimated performance and groups of windows."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("monitoring_windows", sa.Column("watches", sa.Text(), server_default="[]", nullable=False))
    op.add_column("monitoring_windows", sa.Column("estimate", sa.Text(), nullable=True))
    op.add_column("monitoring_windows", sa.Column("groups", sa.Text(), server_default="[]", nullable=False))


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
