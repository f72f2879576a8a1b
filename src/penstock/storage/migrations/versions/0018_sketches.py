"""sketches of windows and references."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("monitoring_windows", sa.Column("sketches", sa.String(length=64), nullable=True))
    op.create_table(
        "monitoring_references",
        sa.Column("deployment", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sample", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("sketch", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "version", name=op.f("pk_monitoring_references")),
    )


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
