"""how many files a version of a dataset has, and where they came from."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    length = (
        "jsonb_array_length(files::jsonb)" if op.get_bind().dialect.name == "postgresql" else "json_array_length(files)"
    )
    op.add_column("dataset_versions", sa.Column("file_count", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("dataset_versions", sa.Column("provenance", sa.Text()))
    op.execute(f"UPDATE dataset_versions SET file_count = {length}")
    with op.batch_alter_table("dataset_versions") as table:
        table.alter_column("file_count", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("schemas only move forward; restore a backup to go back")
