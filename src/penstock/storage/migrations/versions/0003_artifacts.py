"""Artifacts belong to a home: a run, a logged model or the server itself; uploads that come in parts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _path() -> "sa.Column[str]":
    # Ordered byte by byte in both databases: what is below a folder is one range of paths.
    text = sa.String(1000).with_variant(sa.String(1000, collation="C"), "postgresql")
    return sa.Column("path", text, nullable=False)


def upgrade() -> None:
    op.execute("CREATE TABLE old_artifacts AS SELECT * FROM artifacts")
    op.drop_table("artifacts")
    op.create_table(
        "artifacts",
        sa.Column("home", sa.String(length=100), nullable=False),
        _path(),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("home", "path", name=op.f("pk_artifacts")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_artifacts_home_digest"), "artifacts", ["home", "digest"], unique=False)
    op.create_table(
        "artifact_uploads",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("home", sa.String(length=100), nullable=False),
        _path(),
        sa.Column("num_parts", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact_uploads")),
    )
    op.create_index(op.f("ix_artifact_uploads_created_at"), "artifact_uploads", ["created_at"], unique=False)
    op.create_table(
        "artifact_upload_parts",
        sa.Column("upload_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["artifact_uploads.id"], name=op.f("fk_artifact_upload_parts_upload_id")
        ),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_artifact_upload_parts")),
    )
    op.execute(
        "INSERT INTO artifacts (home, path, digest, size_bytes, created_at) "
        "SELECT 'run:' || run_id, path, digest, size_bytes, created_at FROM old_artifacts"
    )
    _move_references()
    op.execute("DROP TABLE old_artifacts")


def _move_references() -> None:
    """The objects of a run's artifacts were kept in the run's own name, among those of its source."""
    op.execute(
        "INSERT INTO object_references (owner, digest, created_at) "
        "SELECT 'artifacts:' || home, digest, MIN(created_at) FROM artifacts GROUP BY home, digest"
    )
    op.execute(
        "DELETE FROM object_references WHERE EXISTS (SELECT 1 FROM artifacts a "
        "WHERE a.home = object_references.owner AND a.digest = object_references.digest) "
        "AND NOT EXISTS (SELECT 1 FROM runs r WHERE 'run:' || r.id = object_references.owner "
        "AND r.source LIKE '%' || object_references.digest || '%')"
    )
