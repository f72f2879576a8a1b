"""Outcomes of entities put beside predictions: which prediction an outcome belongs to is found when they are read.

Nothing of it is kept, so predictions and outcomes may come late, twice and in any order: the same rows give the same
answer.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Literal

import polars as pl

from penstock.core import codec
from penstock.core.ids import SegmentId
from penstock.predictions.segment_file import decode_entities
from penstock.predictions.types import RecordedEntityOutcome, Segment
from penstock.storage.objects.stored import StoredObjects

REMEMBERED_ROWS = 1_000_000  # some 100 MB
_AT = pl.Datetime("us", "UTC")
ENTITY_SCHEMA = pl.Schema({"id": pl.String(), "at": _AT, "entity": pl.String()})


class EntityReader:
    """Reads whom predictions were about, and remembers it of the segments read last. Safe to share between threads."""

    def __init__(self, objects: StoredObjects, remembered_rows: int = REMEMBERED_ROWS) -> None:
        self._objects = objects
        self._room = remembered_rows
        self._held: OrderedDict[SegmentId, pl.DataFrame] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, segments: Iterable[Segment], of: Collection[str] | None = None) -> pl.DataFrame:
        """Whom the predictions of some segments were about, and when; without copies, errors, and rows without a key.

        Args:
            segments: one after the other, so that memory is for what is returned.
            of: only predictions about these; None for all.

        Returns:
            Columns `id`, `at` (event time) and `entity`.
        """
        is_wanted = pl.lit(True) if of is None else pl.col("entity").is_in(list(of))
        frames = [self._read(segment).filter(is_wanted) for segment in segments]
        return pl.concat(frames) if frames else ENTITY_SCHEMA.to_frame()

    def _read(self, segment: Segment) -> pl.DataFrame:
        with self._lock:
            known = self._held.get(segment.id)
            if known is not None:
                self._held.move_to_end(segment.id)
                return known
        found = (
            decode_entities(self._objects.get_bytes(segment.digest))
            .filter(pl.col("entity") != "")
            .select(pl.format("{}-{}", pl.lit(segment.id), "row").alias("id"), "at", "entity")
        )
        with self._lock:
            if segment.id not in self._held:
                self._held[segment.id] = found
                self._room -= found.height
            while self._room < 0 and len(self._held) > 1:
                _, oldest = self._held.popitem(last=False)
                self._room += oldest.height
        return found


def match_entities(
    predictions: pl.DataFrame,
    outcomes: Sequence[RecordedEntityOutcome],
    *,
    horizon: timedelta,
    join: Literal["last", "all"],
) -> pl.DataFrame:
    """The outcome of each prediction that has one; of several the one that happened last counts.

    Args:
        predictions: what `EntityReader` gave: all of these entities up to the newest of the outcomes.
        outcomes: of the entities.
        horizon: an outcome belongs to no prediction that lies further back.
        join: to the last prediction before the outcome, or to all within the horizon.

    Returns:
        Columns `id`, `outcome` (JSON text) and `outcome_at`.
    """
    known = pl.DataFrame(
        {
            "entity": [item.entity for item in outcomes],
            "outcome": [codec.encode_text(item.value) for item in outcomes],
            "outcome_at": [item.at for item in outcomes],
        },
        schema={"entity": pl.String, "outcome": pl.String, "outcome_at": _AT},
    )
    if join == "last":
        matched = known.sort("outcome_at").join_asof(
            predictions.sort("at", "id"),
            left_on="outcome_at",
            right_on="at",
            by="entity",
            strategy="backward",
            check_sortedness=False,
        )
    else:
        matched = known.join(predictions, on="entity").filter(pl.col("at") <= pl.col("outcome_at"))
    within = matched.filter(pl.col("id").is_not_null(), pl.col("outcome_at") - pl.col("at") <= horizon)
    return within.sort("outcome_at", "outcome").unique("id", keep="last").select("id", "outcome", "outcome_at")


def add_matches(rows: pl.DataFrame, matched: pl.DataFrame) -> pl.DataFrame:
    """Predictions with the outcomes of their entities beside those by id; where both are known the later one counts.

    Args:
        rows: what `join_outcomes` gave; a copy has the outcome of the prediction that the caller got.
        matched: what `match_entities` gave.
    """
    other = matched.rename({"id": "of", "outcome": "theirs", "outcome_at": "theirs_at"})
    joined = rows.with_columns(pl.coalesce("answered", "id").alias("of")).join(
        other, on="of", how="left", maintain_order="left"
    )
    later = pl.col("theirs").is_not_null() & (
        pl.col("outcome").is_null()
        | (pl.col("theirs_at") > pl.col("outcome_at"))
        | ((pl.col("theirs_at") == pl.col("outcome_at")) & (pl.col("theirs") > pl.col("outcome")))
    )
    return joined.with_columns(
        outcome=pl.when(later).then("theirs").otherwise("outcome"),
        outcome_at=pl.when(later).then("theirs_at").otherwise("outcome_at"),
    ).drop("of", "theirs", "theirs_at")
