"""fast forms."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_UNCOMPILED = sa.text("fast_form IS NULL AND deleted_at IS NULL")


def upgrade() -> None:
    op.add_column("model_versions", sa.Column("fast_form", sa.Text(), nullable=True))
    op.add_column("model_versions", sa.Column("fast_tree", sa.String(length=64), nullable=True))
    op.create_index(
        "ix_model_versions_uncompiled",
        "model_versions",
        ["created_at"],
        sqlite_where=_UNCOMPILED,
        postgresql_where=_UNCOMPILED,
    )


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
