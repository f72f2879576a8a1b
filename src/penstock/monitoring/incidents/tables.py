"""The tables of incidents."""

from sqlalchemy import Column, Index, Integer, String, Table, Text

from penstock.storage.columns import Json, UtcTime, metadata

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("deployment", String(128), nullable=False),
    Column("status", String(20), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("kinds", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("summary", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_by", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Column("resolved_at", UtcTime),
    Column("resolved_by", String(200), nullable=False),
    Column("resolution", Text, nullable=False),
    Index("ix_incidents_deployment_status", "deployment", "status"),
)

incident_signals = Table(
    "incident_signals",
    metadata,
    Column("incident", String(40), primary_key=True),
    Column("key", String(240), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("labels", Json, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("summary", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("ended", Text, nullable=False),
)

silences = Table(
    "alert_silences",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("deployment", String(128), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("label", String(300), nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("ended_at", UtcTime),
)

deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("incident", String(40)),
    Column("deployment", String(128), nullable=False),
    Column("rule", String(200), nullable=False),
    Column("step", String(20), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("message", Json, nullable=False),
    Column("status", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("error", Text, nullable=False),
    Index("ix_alert_deliveries_status_next_at", "status", "next_at"),
    Index(None, "incident"),
)
