"""The tables of serving."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata

deployments = Table(
    "deployments",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("key", String(200), nullable=True),
    Column("default", Json, nullable=False, server_default="{}"),
    Column("rules", Json, nullable=False, server_default="{}"),
    Column("stable", Integer, nullable=True),
    Column("candidate", Integer, nullable=True),
    Column("share", Float, nullable=False),
    Column("rollout", String(40), nullable=True),
    Column("updated_at", UtcTime, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("deployment", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("model", String(250), nullable=False),
    Column("version", Integer, nullable=False),
    Column("tree", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("replaced", Integer, nullable=True),
    Column("created_at", UtcTime, nullable=False),
    Index(None, "model", "version"),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("deployment", String(128), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("baseline", Integer, nullable=True),
    Column("strategy", String(20), nullable=False),
    Column("steps", Json, nullable=False),
    Column("step", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("guard", Json, nullable=False),
    Column("margins", Json, nullable=False, server_default="{}"),
    Column("decide", String(20), nullable=False, server_default="no_harm"),
    Column("min_requests", Integer, nullable=False),
    Column("key", String(200), nullable=True),
    Column("events", Json, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("step_started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=True),
    Index(None, "deployment", "started_at"),
)

rollout_measures = Table(  # what the judge saw, now and then
    "rollout_measures",
    metadata,
    Column("rollout", String(40), primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("share", Float, nullable=False),
    Column("decision", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Json, nullable=False),
)

routing_numbers = Table(
    "routing_numbers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, 1
    Column("number", BigInteger, nullable=False),
)

gateway_reports = Table(
    "gateway_reports",
    metadata,
    Column("gateway", String(200), primary_key=True),
    Column("routing", BigInteger, nullable=False),
    Column("revisions", Json, nullable=False),
    Column("failures", Json, nullable=False),
    Column("waiting_segments", Integer, nullable=False),
    Column("dropped_copies", Integer, nullable=False, server_default="0"),
    Column("at", UtcTime, nullable=False),
)
