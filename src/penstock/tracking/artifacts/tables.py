"""The tables of artifacts, laid out for hundreds of thousands of files in one home."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from penstock.storage.columns import UtcTime, metadata

# Ordered byte by byte in both databases: what is below a folder is one range of paths.
PathText = String(1000).with_variant(String(1000, collation="C"), "postgresql")

artifacts = Table(
    "artifacts",
    metadata,
    Column("home", String(100), primary_key=True),
    Column("path", PathText, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "home", "digest"),
    sqlite_with_rowid=False,
)

artifact_uploads = Table(
    "artifact_uploads",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("home", String(100), nullable=False),
    Column("path", PathText, nullable=False),
    Column("num_parts", Integer, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
)

artifact_upload_parts = Table(
    "artifact_upload_parts",
    metadata,
    Column("upload_id", String(64), ForeignKey("artifact_uploads.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)
