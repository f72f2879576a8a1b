"""Reads the predictions and outcomes of one deployment, all pages of them; remembers nothing."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl

from penstock.predictions.frames import join_outcomes, read_predictions
from penstock.predictions.service import PredictionService
from penstock.predictions.types import RecordedOutcome, Segment
from penstock.storage.objects.object_store import ObjectStore

PAGE = 10_000


class PredictionReader:
    """Safe to share between threads."""

    def __init__(self, predictions: PredictionService, objects: ObjectStore, deployment: str) -> None:
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

    def list_outcomes(self, start: datetime, end: datetime) -> list[RecordedOutcome]:
        """All outcomes of segments with events from `start` up to before `end`."""
        found: list[RecordedOutcome] = []
        after = 0
        while True:
            page = self._predictions.list_outcomes(self._deployment, after=after, start=start, end=end, limit=PAGE)
            found += page
            if len(page) < PAGE:
                return found
            after = page[-1].number

    def read_rows(self, segments: list[Segment]) -> pl.DataFrame:
        """The predictions of some segments in the order of event time, with their outcomes (`join_outcomes`)."""
        rows = read_predictions(self._objects, segments).sort("at", "id")
        if not segments:
            return join_outcomes(rows, [])
        start, end = min(each.first_at for each in segments), max(each.last_at for each in segments)
        return join_outcomes(rows, self.list_outcomes(start, end + timedelta.resolution))

    def read_times(self, segment: Segment) -> list[datetime]:
        """The event times of a segment, each once."""
        times: list[datetime] = read_predictions(self._objects, [segment])["at"].unique().to_list()
        return times
