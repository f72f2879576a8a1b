"""Finished segments as objects: one Parquet file each, with a row per prediction.

Columns: `row` (Int32), `at` (event time, UTC), `revision` (Int32), `key`, `inputs` and `output` (JSON text),
`latency_ms` (Float32), `status`, `propensity` (Float64; 1 in files that an older version wrote without it), `answered`
(of a copy: the id of the prediction that the caller got; null otherwise, and missing in older files), `caller_id` (what
the caller calls the request; null where it has no name, and missing in older files), `name` (the id that whoever logged
the row from elsewhere calls it by; missing where penstock served).
A prediction's id is `SEGMENT-ROW`, so neither is stored per row.
"""

import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from penstock.core.ids import SegmentId
from penstock.predictions.blocks import pack_rows, to_frame
from penstock.predictions.event_time import LONELY
from penstock.predictions.latency import count_latencies
from penstock.predictions.records import read_records
from penstock.predictions.types import PredictionRow, RevisionCounts, Segment


def compact_segment(path: Path) -> tuple[Segment, Path]:
    """Make an object of a finished file of the log; it lies beside it then.

    Returns:
        The record that describes the object, and where it lies.

    Raises:
        CorruptDataError: the file is damaged.
        OSError: the object cannot be written.
    """
    content = read_records(path)
    frame = content.frame()
    target, partial = path.with_suffix(".parquet"), path.with_suffix(".partial")
    partial.write_bytes(encode_frame(frame))
    partial.replace(target)
    return describe_frame(content.header.id, content.header.deployment, frame), target


def describe_segment(segment_id: SegmentId, deployment: str, rows: Sequence[PredictionRow]) -> Segment:
    """What some rows add up to; the digest is left empty."""
    return describe_frame(segment_id, deployment, to_frame([pack_rows(rows)], []))


def encode_rows(rows: Sequence[PredictionRow]) -> bytes:
    """Rows as a Parquet file."""
    return encode_frame(to_frame([pack_rows(rows)], []))


def decode_rows(data: bytes) -> pl.DataFrame:
    """The frame that a file holds."""
    frame = pl.read_parquet(io.BytesIO(data))
    if "propensity" not in frame.columns:
        frame = frame.with_columns(propensity=pl.lit(1.0))
    missing = [name for name in ("answered", "caller_id") if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)


def decode_entities(data: bytes) -> pl.DataFrame:
    """Which rows of a file are about whom and when: columns `row`, `at`, `entity`; without copies and errors."""
    held = set(pl.read_parquet_schema(io.BytesIO(data)))
    wanted = ["row", "at", "key", "status", *(name for name in ("answered", "name") if name in held)]
    frame = pl.read_parquet(io.BytesIO(data), columns=wanted)
    if "answered" in held:
        frame = frame.filter(pl.col("answered").is_null())
    name = pl.col("name") if "name" in held else pl.lit(None, pl.String)
    return frame.filter(pl.col("status") != "error").select("row", "at", entity=pl.coalesce(name, "key"))


def describe_frame(segment_id: SegmentId, deployment: str, frame: pl.DataFrame) -> Segment:
    """What the rows of a frame add up to; the digest is left empty."""
    status = frame["status"]
    return Segment(
        id=segment_id,
        deployment=deployment,
        first_at=frame.select(pl.col("at").min()).item(),
        last_at=frame.select(pl.col("at").max()).item(),
        settled_at=_find_settled(frame["at"]),
        rows=frame.height,
        errors=int((status == "error").sum()),
        fallbacks=int((status == "fallback").sum()),
        revisions=[
            counts
            for own in frame.sort("revision", maintain_order=True).partition_by("revision")
            for counts in _count(own)
        ],
    )


def _find_settled(at: pl.Series) -> datetime | None:
    """The newest event time that is not alone: one row with a wrong clock says nothing of how far time has come."""
    times = at.sort()
    settled: datetime | None = times.filter(times.diff() <= LONELY).max()  # type: ignore[assignment]
    return settled


def _count(own: pl.DataFrame) -> list[RevisionCounts]:
    """The counts of one revision: of its answers, then of its copies, where there are any."""
    is_copy = own["status"].is_in(("shadow", "shadow_error"))
    return [
        RevisionCounts(
            revision=held["revision"][0],
            is_shadow=is_shadow,
            rows=held.height,
            errors=int((held["status"] == ("shadow_error" if is_shadow else "error")).sum()),
            fallbacks=int((held["status"] == "fallback").sum()),
            latency=count_latencies((held["latency_ms"].cast(pl.Float64) * 1000).round().cast(pl.Int64).to_list()),
        )
        for is_shadow, held in ((False, own.filter(~is_copy)), (True, own.filter(is_copy)))
        if held.height
    ]


def encode_frame(frame: pl.DataFrame) -> bytes:
    """Rows as a Parquet file."""
    buffer = io.BytesIO()
    # Level 1 takes half the time of the default and gives smaller files here: these texts are digits.
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    return buffer.getvalue()
