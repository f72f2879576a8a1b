"""Predictions as frames: read segments back from the object store, and put outcomes beside them."""

from collections.abc import Iterable, Sequence

import msgspec
import polars as pl

from penstock.core import codec
from penstock.core.ids import PredictionId
from penstock.predictions.blocks import SCHEMA
from penstock.predictions.segment_file import decode_rows
from penstock.predictions.types import Outcome, RecordedOutcome, Segment
from penstock.storage.objects.stored import StoredObjects

PREDICTION_SCHEMA = pl.Schema(
    {"id": pl.String(), "deployment": pl.String()}
    | {name: kind for name, kind in SCHEMA.items() if name != "row"}
    | {"name": pl.String(), "segment": pl.Int64(), "has_inputs": pl.Boolean()}
)


def read_predictions(objects: StoredObjects, segments: Iterable[Segment], *, with_copies: bool = False) -> pl.DataFrame:
    """The predictions of some segments, in order.

    Args:
        objects: where they lie.
        segments: which.
        with_copies: also what a revision in the shadow would have answered (status "shadow" and "shadow_error").

    Returns:
        Columns `id`, `deployment`, `revision`, `at` (event time, UTC), `key`, `inputs` and `output` (JSON text),
        `latency_ms`, `status` ("ok", "fallback" or "error"), `propensity` (of the revision; 1 without a rollout),
        `answered` (of a copy: the id of the prediction that the caller got), `caller_id` (what the caller calls it),
        `name` (the id that whoever logged the row from elsewhere calls it by), `segment` (its number, in order of
        arrival), `has_inputs` (false where `inputs` holds no more than the columns that are measured by).
    """
    frames = [_read_segment(objects, segment) for segment in segments]
    found = pl.concat(frames) if frames else PREDICTION_SCHEMA.to_frame()
    return found if with_copies else found.filter(pl.col("answered").is_null())


def _read_segment(objects: StoredObjects, segment: Segment) -> pl.DataFrame:
    rows = decode_rows(objects.get_bytes(segment.digest))
    if "name" not in rows.columns:
        rows = rows.with_columns(name=pl.lit(None, pl.String))
    return rows.with_columns(
        pl.format("{}-{}", pl.lit(segment.id), "row").alias("id"),
        pl.lit(segment.deployment).alias("deployment"),
        pl.lit(segment.number, pl.Int64).alias("segment"),
        pl.lit(segment.inputs_dropped_at is None).alias("has_inputs"),
    ).select(PREDICTION_SCHEMA.names())


def join_outcomes(frame: pl.DataFrame, outcomes: Sequence[Outcome | RecordedOutcome]) -> pl.DataFrame:
    """The same predictions with `outcome` (JSON text) and `outcome_at`; both null where none has come yet.

    The outcome of a prediction is that of its copies too.
    """
    newest: dict[PredictionId, Outcome | RecordedOutcome] = {}
    for item in outcomes:
        before = newest.get(item.prediction_id)
        if before is None or item.at >= before.at:
            newest[item.prediction_id] = item
    held = pl.DataFrame(
        {
            "id": list(newest),
            "outcome": [codec.encode_text(item.value) for item in newest.values()],
            "outcome_at": [item.at for item in newest.values()],
        },
        schema={"id": pl.String, "outcome": pl.String, "outcome_at": pl.Datetime("us", "UTC")},
    )
    of = pl.coalesce("answered", "id").alias("of")
    return frame.with_columns(of).join(held, left_on="of", right_on="id", how="left", maintain_order="left").drop("of")


def unpack_json(frame: pl.DataFrame, column: str, schema: dict[str, pl.DataType] | None = None) -> pl.DataFrame:
    """The JSON objects of `inputs` or `output` as a frame with a column per key and as many rows.

    Args:
        frame: what `read_predictions` gave.
        column: `inputs` or `output`.
        schema: the columns wanted, with their types; inferred from all rows when None.
    """
    rows = [msgspec.json.decode(text) for text in frame[column]]
    if schema is None:
        return pl.DataFrame(rows, infer_schema_length=None)
    return pl.DataFrame(rows, schema=schema, strict=False)
