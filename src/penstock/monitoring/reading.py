"""Reads the predictions and outcomes of one deployment, all pages of them; remembers nothing."""

from datetime import datetime
from typing import Any

import polars as pl

from penstock.core.ids import SegmentId
from penstock.predictions.frames import join_outcomes, read_predictions
from penstock.predictions.service import PredictionService
from penstock.predictions.types import Segment
from penstock.storage.objects.stored import StoredObjects

PAGE = 10_000
SEGMENTS = 100  # read at a time: outcomes are records before they are columns


class PredictionReader:
    """Safe to share between threads."""

    def __init__(self, predictions: PredictionService, objects: StoredObjects, deployment: str) -> None:
        self._predictions = predictions
        self._objects = objects
        self._deployment = deployment

    def list_segments(self, after: int = 0, **those: Any) -> list[Segment]:
        """All segments after a number; `those` narrow them down as in `PredictionService.list_segments`."""
        found: list[Segment] = []
        while True:
            page = self._predictions.list_segments(self._deployment, after=after, limit=PAGE, **those)
            found += page
            if len(page) < PAGE:
                return found
            after = page[-1].number

    def list_answered(self, after: int) -> list[Segment]:
        """The segments to which the outcomes after a number belong."""
        ids: set[SegmentId] = set()
        while True:
            page = self._predictions.list_outcomes(self._deployment, after=after, limit=PAGE)
            ids |= {outcome.segment for outcome in page}
            if len(page) < PAGE:
                return self._predictions.get_segments(sorted(ids))
            after = page[-1].number

    def read_rows(self, segments: list[Segment], *, with_copies: bool = False) -> pl.DataFrame:
        """The predictions of some segments in the order of event time, with their outcomes (`join_outcomes`)."""
        parts = [segments[first : first + SEGMENTS] for first in range(0, len(segments), SEGMENTS)] or [[]]
        return pl.concat([self._read_part(part, with_copies) for part in parts]).sort("at", "id")

    def _read_part(self, segments: list[Segment], with_copies: bool) -> pl.DataFrame:
        rows = read_predictions(self._objects, segments, with_copies=with_copies)
        answered = rows["answered"].drop_nulls().str.replace(r"-\d+$", "").unique().to_list()  # may lie in others
        outcomes = self._predictions.get_outcomes(sorted({segment.id for segment in segments} | set(answered)))
        return join_outcomes(rows, outcomes)

    def read_times(self, segment: Segment) -> list[datetime]:
        """The event times of a segment, each once."""
        times: list[datetime] = read_predictions(self._objects, [segment])["at"].unique().to_list()
        return times
