"""From the ids that callers gave their requests to predictions: what an outcome may name instead of a prediction."""

import io
from collections.abc import Iterable

import polars as pl

from penstock.core.ids import PredictionId
from penstock.predictions.types import Segment
from penstock.storage.objects.stored import StoredObjects


def find_predictions(
    objects: StoredObjects, segments: Iterable[Segment], wanted: Iterable[str]
) -> dict[str, PredictionId]:
    """The predictions of some requests, by the ids that their callers gave; those that are not found stay out.

    Of two requests with one id the later counts. Segments are read until all are found.

    Args:
        objects: where they lie.
        segments: newest first.
        wanted: ids of callers; of a request with several rows, each with the row's place, as `id/2`.
    """
    left, found = set(wanted), dict[str, PredictionId]()
    for segment in segments:
        if not left:
            break
        for row, caller_id in _read(objects.get_bytes(segment.digest), left):
            found[caller_id] = PredictionId(f"{segment.id}-{row}")
        left -= found.keys()
    return found


def _read(data: bytes, wanted: set[str]) -> list[tuple[int, str]]:
    """The rows of a segment that have one of these ids, in order."""
    source = io.BytesIO(data)
    if "caller_id" not in pl.read_parquet_schema(source):  # an older version wrote it
        return []
    frame = pl.read_parquet(source, columns=["row", "caller_id"])
    return frame.filter(pl.col("caller_id").is_in(wanted)).rows()
