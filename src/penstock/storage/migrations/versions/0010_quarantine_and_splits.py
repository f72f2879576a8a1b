"""rows that checks kept out of a version, and splits."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("check_reports", sa.Column("quarantine", sa.Text(), nullable=True))
    op.create_table(
        "dataset_splits",
        sa.Column("dataset", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("tree", sa.String(length=64), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("left_out", sa.BigInteger(), nullable=False),
        sa.Column("leaks", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "version", "name", name=op.f("pk_dataset_splits")),
    )


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
