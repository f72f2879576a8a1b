"""How far clients' spools have been applied."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("spool", sa.String(length=64), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_updated_at"), "deliveries", ["updated_at"])


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
