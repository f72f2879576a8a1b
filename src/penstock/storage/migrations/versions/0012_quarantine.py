"""rows that checks kept out of a version."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("check_reports", sa.Column("quarantine", sa.Text(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
