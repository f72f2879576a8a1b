"""Finished segments as objects: one Parquet file each, with a row per prediction.

Columns: `row` (Int32), `at` (event time, UTC), `revision` (Int32), `key`, `inputs` and `output` (JSON text),
`latency_ms` (Float32), `status`, `propensity` (Float64; 1 in files that an older version wrote without it), `answered`
(of a copy: the id of the prediction that the caller got; null otherwise, and missing in older files).
A prediction's id is `SEGMENT-ROW`, so neither is stored per row.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from penstock.core.ids import SegmentId
from penstock.predictions.blocks import pack_rows, to_frame
from penstock.predictions.latency import count_latencies
from penstock.predictions.records import read_records
from penstock.predictions.types import PredictionRow, RevisionCounts, Segment


def compact_segment(path: Path) -> tuple[Segment, bytes]:
    """A finished file of the log as the bytes of an object, and the record that describes it.

    Raises:
        CorruptDataError: the file is damaged.
    """
    content = read_records(path)
    frame = content.frame()
    return _describe(content.header.id, content.header.deployment, frame), _encode(frame)


def describe_segment(segment_id: SegmentId, deployment: str, rows: Sequence[PredictionRow]) -> Segment:
    """What some rows add up to; the digest is left empty."""
    return _describe(segment_id, deployment, to_frame([pack_rows(rows)], []))


def encode_rows(rows: Sequence[PredictionRow]) -> bytes:
    """Rows as a Parquet file."""
    return _encode(to_frame([pack_rows(rows)], []))


def decode_rows(data: bytes) -> pl.DataFrame:
    """The frame that a file holds."""
    frame = pl.read_parquet(io.BytesIO(data))
    if "propensity" not in frame.columns:
        frame = frame.with_columns(propensity=pl.lit(1.0))
    return frame if "answered" in frame.columns else frame.with_columns(answered=pl.lit(None, pl.String))


def _describe(segment_id: SegmentId, deployment: str, frame: pl.DataFrame) -> Segment:
    status = frame["status"]
    return Segment(
        id=segment_id,
        deployment=deployment,
        first_at=frame.select(pl.col("at").min()).item(),
        last_at=frame.select(pl.col("at").max()).item(),
        rows=frame.height,
        errors=int((status == "error").sum()),
        fallbacks=int((status == "fallback").sum()),
        revisions=[
            counts
            for own in frame.sort("revision", maintain_order=True).partition_by("revision")
            for counts in _count(own)
        ],
    )


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


def _encode(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    # Level 1 takes half the time of the default and gives smaller files here: these texts are digits.
    frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    return buffer.getvalue()
