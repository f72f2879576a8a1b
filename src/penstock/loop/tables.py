"""The tables of the loop."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata, partial_index

episodes = Table(
    "episodes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("trigger", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("alert_id", String(200)),
    Column("params", Json, nullable=False),
    Column("as_of", UtcTime),
    Column("started_at", UtcTime, nullable=False),
    Column("run_id", String(64)),
    Column("version", Integer),
    Column("rollout_id", String(64)),
    Column("ended_at", UtcTime),
    Column("ended_as_of", UtcTime),
    Column("summary", Text, nullable=False),
    Index(None, "project", "number", unique=True),
)

# Two controllers, or a person and a controller, can never open two episodes of one project: the database refuses.
partial_index("uq_episodes_open", episodes.c.project, unique=True, where=episodes.c.ended_at.is_(None))

decisions = Table(
    "decisions",
    metadata,
    Column("episode", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("fence", BigInteger, nullable=False),
)

looks = Table(
    "loop_looks",
    metadata,
    Column("project", String(128), primary_key=True),
    Column("seen", Json, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("waiting_for", Text, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("at", UtcTime, nullable=False),
)

standings = Table(
    "loop_standings",
    metadata,
    Column("project", String(128), primary_key=True),
    Column("case", Json, nullable=False),
    Column("version", Integer),
    Column("until", UtcTime),
    Column("run_id", String(64)),
    Column("tried", Json),
    Column("newest", Json),
)
