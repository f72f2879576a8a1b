"""which columns cut no window into segments, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("segment_notes", sa.Text(), nullable=False, server_default="[]")
    op.add_column("monitoring_windows", column)


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
