"""runs that ask what a retrain would gain, and where that question stands."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("rows", "probe", "probed"):
        op.add_column("pipeline_runs", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "loop_standings",
        sa.Column("project", sa.String(length=128), nullable=False),
        sa.Column("case", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("tried", sa.Text(), nullable=True),
        sa.Column("newest", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_loop_standings")),
    )


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
