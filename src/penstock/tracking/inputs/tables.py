"""The tables of what runs read and made."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from penstock.storage.columns import Json, metadata


def _run() -> "Column[int]":
    return Column("run", BigInteger, ForeignKey("runs.number"), primary_key=True, autoincrement=False)


logged_datasets = Table(
    "logged_datasets",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("experiment_id", BigInteger, ForeignKey("experiments.id"), nullable=False),
    Column("name", String(500), nullable=False, index=True),
    Column("digest", String(36), nullable=False, index=True),
    Column("source_type", String(100), nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("profile", Text, nullable=False),
    UniqueConstraint("experiment_id", "name", "digest"),
)

dataset_inputs = Table(
    "dataset_inputs",
    metadata,
    _run(),
    Column("dataset", BigInteger, ForeignKey("logged_datasets.number"), primary_key=True, autoincrement=False),
    Column("context", String(500), nullable=False),  # the tag that searches ask for; the others are seldom read
    Column("tags", Json, nullable=False),
    Index(None, "dataset", "context", "run"),
    Index(None, "context", "run"),
    sqlite_with_rowid=False,
)

model_inputs = Table(
    "model_inputs",
    metadata,
    _run(),
    Column("model_id", String(64), primary_key=True),
    sqlite_with_rowid=False,
)

model_outputs = Table(
    "model_outputs",
    metadata,
    _run(),
    Column("model_id", String(64), primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
