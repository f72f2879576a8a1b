"""Reads the predictions and outcomes of one deployment as they come in; remembers segments, but never their rows."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl

from penstock.core.ids import SegmentId
from penstock.predictions.frames import join_outcomes, read_predictions
from penstock.predictions.service import PredictionService
from penstock.predictions.types import RecordedOutcome, Segment
from penstock.storage.objects.object_store import ObjectStore

PAGE = 10_000


class PredictionReader:
    """Not safe to share between threads.

    Attributes:
        segments: all that are known so far, by id.
        newest: the number of the newest of them; 0 for none.
    """

    def __init__(self, predictions: PredictionService, objects: ObjectStore, deployment: str) -> None:
        self.segments: dict[SegmentId, Segment] = {}
        self._predictions = predictions
        self._objects = objects
        self._deployment = deployment
        self.newest = 0

    def refresh(self) -> None:
        """Learn of the segments that arrived since the last time."""
        while True:
            page = self._predictions.list_segments(self._deployment, after=self.newest, limit=PAGE)
            self.segments |= {segment.id: segment for segment in page}
            if page:
                self.newest = page[-1].number
            if len(page) < PAGE:
                return

    def list_outcomes(
        self, after: int = 0, start: datetime | None = None, end: datetime | None = None
    ) -> list[RecordedOutcome]:
        """All outcomes after a number, or of segments with events from `start` up to before `end`."""
        found: list[RecordedOutcome] = []
        while True:
            page = self._predictions.list_outcomes(self._deployment, after=after, start=start, end=end, limit=PAGE)
            found += page
            if len(page) < PAGE:
                return found
            after = page[-1].number

    def read_rows(self, segments: Iterable[Segment]) -> pl.DataFrame:
        """The predictions of some segments in the order of event time, with their outcomes (`join_outcomes`)."""
        held = list(segments)
        rows = read_predictions(self._objects, held).sort("at", "id")
        if not held:
            return join_outcomes(rows, [])
        start, end = min(each.first_at for each in held), max(each.last_at for each in held)
        return join_outcomes(rows, self.list_outcomes(start=start, end=end + timedelta.resolution))
