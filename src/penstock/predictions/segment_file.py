"""Finished segments as objects: one Parquet file each, with a row per prediction.

Columns: `row` (Int32), `at` (event time, UTC), `revision` (Int32), `key`, `inputs` and `output` (JSON text),
`latency_ms` (Float32), `status`. A prediction's id is `SEGMENT-ROW`, so neither is stored per row.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from penstock.core.ids import SegmentId
from penstock.predictions.latency import count_latencies
from penstock.predictions.records import read_records
from penstock.predictions.types import PredictionRow, RevisionCounts, Segment
from penstock.storage.columns import from_microseconds

SCHEMA = pl.Schema(
    {
        "row": pl.Int32(),
        "at": pl.Datetime("us", "UTC"),
        "revision": pl.Int32(),
        "key": pl.String(),
        "inputs": pl.String(),
        "output": pl.String(),
        "latency_ms": pl.Float32(),
        "status": pl.String(),
    }
)


def compact_segment(path: Path) -> tuple[Segment, bytes]:
    """A finished file of the log as the bytes of an object, and the record that describes it.

    Raises:
        CorruptDataError: the file is damaged.
    """
    content = read_records(path)
    segment = describe_segment(content.header.id, content.header.deployment, content.rows)
    return segment, encode_rows(content.rows)


def describe_segment(segment_id: SegmentId, deployment: str, rows: Sequence[PredictionRow]) -> Segment:
    """What some rows add up to; the digest is left empty."""
    return Segment(
        id=segment_id,
        deployment=deployment,
        first_at=from_microseconds(min(row.at_us for row in rows)),
        last_at=from_microseconds(max(row.at_us for row in rows)),
        rows=len(rows),
        errors=sum(row.status == "error" for row in rows),
        fallbacks=sum(row.status == "fallback" for row in rows),
        revisions=count_rows(rows),
    )


def count_rows(rows: Sequence[PredictionRow]) -> list[RevisionCounts]:
    """The counts of each revision that answered some of these rows."""
    by_revision: dict[int, list[PredictionRow]] = {}
    for row in rows:
        by_revision.setdefault(row.revision, []).append(row)
    return [
        RevisionCounts(
            revision=revision,
            rows=len(own),
            errors=sum(row.status == "error" for row in own),
            fallbacks=sum(row.status == "fallback" for row in own),
            latency=count_latencies(row.latency_us for row in own),
        )
        for revision, own in sorted(by_revision.items())
    ]


def encode_rows(rows: Sequence[PredictionRow]) -> bytes:
    """Rows as a Parquet file."""
    frame = pl.DataFrame(
        {
            "row": range(len(rows)),
            "at": [row.at_us for row in rows],
            "revision": [row.revision for row in rows],
            "key": [row.key for row in rows],
            "inputs": [row.inputs for row in rows],
            "output": [row.output for row in rows],
            "latency_ms": [row.latency_us / 1000 for row in rows],
            "status": [row.status for row in rows],
        },
        schema_overrides={"row": pl.Int32, "at": pl.Int64},
    )
    frame = frame.with_columns(pl.col("at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")).cast(SCHEMA)
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def decode_rows(data: bytes) -> pl.DataFrame:
    """The frame that `encode_rows` wrote."""
    return pl.read_parquet(io.BytesIO(data))
