"""Reads the predictions and outcomes of one deployment, all pages of them; remembers only what never changes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from penstock.core.ids import SegmentId
from penstock.core.project.types import OutcomesSection
from penstock.monitoring.windows import window_start
from penstock.predictions.entities import EntityReader, add_matches, match_entities
from penstock.predictions.event_time import LAST
from penstock.predictions.frames import join_outcomes, read_predictions
from penstock.predictions.service import PredictionService
from penstock.predictions.types import RecordedEntityOutcome, Segment
from penstock.storage.objects.stored import StoredObjects

PAGE = 10_000
TICK = timedelta(microseconds=1)
USUAL_TERMS = OutcomesSection()
SEGMENTS = 100  # read at a time: outcomes are records before they are columns


class PredictionReader:
    """Safe to share between threads."""

    def __init__(
        self,
        predictions: PredictionService,
        objects: StoredObjects,
        deployment: str,
        terms: OutcomesSection = USUAL_TERMS,
    ) -> None:
        self._predictions = predictions
        self._objects = objects
        self._deployment = deployment
        self._terms = terms
        self._entities = EntityReader(objects)
        self._answers_by_entity = False  # as far as is known

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
        """The predictions of some segments in the order of event time, with their outcomes, by id and by entity.

        A row that was logged from elsewhere under an id twice counts once: the older one, by event time.
        """
        parts = [segments[first : first + SEGMENTS] for first in range(0, len(segments), SEGMENTS)] or [[]]
        rows = pl.concat([self._read_part(part, with_copies) for part in parts]).sort("at", "id")
        if rows["name"].null_count() < rows.height:
            rows = rows.filter(pl.col("name").is_null() | pl.col("name").is_first_distinct())
        return self._add_entities(rows, segments)

    def list_entity_outcomes(self, after: int = 0, **those: Any) -> list[RecordedEntityOutcome]:
        """All outcomes of entities after a number; `those` narrow them down as in the service."""
        found: list[RecordedEntityOutcome] = []
        while True:
            page = self._predictions.list_entity_outcomes(self._deployment, after=after, limit=PAGE, **those)
            found += page
            if len(page) < PAGE:
                return found
            after = page[-1].number

    def find_times(self, entities: set[str], start: datetime, end: datetime) -> list[datetime]:
        """When predictions about some entities were made, of those from `start` up to `end`."""
        own = self._entities.read(self.list_segments(start=start, end=end + TICK), of=entities)
        times: list[datetime] = own.filter(pl.col("at").is_between(start, end))["at"].unique().to_list()
        return times

    def find_answered_times(self, after: int) -> list[datetime]:
        """When the predictions were made that the entities' outcomes after a number may belong to."""
        fresh = self.list_entity_outcomes(after)
        if not fresh:
            return []
        times = [item.at for item in fresh]
        return self.find_times({item.entity for item in fresh}, min(times) - self._terms.join_horizon, max(times))

    def find_robbed_times(self, segments: list[Segment]) -> list[datetime]:
        """When the predictions were made whose outcome new ones of the same entity may have taken over."""
        if self._terms.join == "all" or not segments or not self._has_entity_outcomes():
            return []
        first = min(segment.first_at for segment in segments)
        own = self._entities.read(segments)["entity"].unique().to_list()
        claimed = self._predictions.get_entity_outcomes(self._deployment, own, first, LAST) if own else []
        entities = {item.entity for item in claimed}
        last = max(segment.last_at for segment in segments)
        return self.find_times(entities, first - self._terms.join_horizon, last) if entities else []

    def _has_entity_outcomes(self) -> bool:
        if not self._answers_by_entity:
            self._answers_by_entity = bool(self._predictions.list_entity_outcomes(self._deployment, limit=1))
        return self._answers_by_entity

    def _add_entities(self, rows: pl.DataFrame, segments: list[Segment]) -> pl.DataFrame:
        if not rows.height or not self._has_entity_outcomes():
            return rows
        first, last = rows["at"].min(), rows["at"].max()
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            raise TypeError("event times are no times")
        own = self._entities.read(segments)
        outcomes = self._predictions.get_entity_outcomes(
            self._deployment, own["entity"].unique().to_list(), first, last + self._terms.join_horizon + TICK
        )
        if not outcomes:
            return rows
        if self._terms.join == "last" and rows["name"].null_count():  # an id of its own comes only once
            around = {segment.id: segment for segment in segments}
            until = max(last, max(item.at for item in outcomes))
            around |= {segment.id: segment for segment in self.list_segments(start=first, end=until + TICK)}
            own = self._entities.read(around.values(), of={item.entity for item in outcomes})
        matched = match_entities(own, outcomes, horizon=self._terms.join_horizon, join=self._terms.join)
        return add_matches(rows, matched)

    def _read_part(self, segments: list[Segment], with_copies: bool) -> pl.DataFrame:
        rows = read_predictions(self._objects, segments, with_copies=with_copies)
        answered = rows["answered"].drop_nulls().str.replace(r"-\d+$", "").unique().to_list()  # may lie in others
        outcomes = self._predictions.get_outcomes(sorted({segment.id for segment in segments} | set(answered)))
        return join_outcomes(rows, outcomes)

    def find_starts(self, segments: Iterable[Segment], length: timedelta) -> set[datetime]:
        """The windows of a length that hold a row of any of these segments, by their starts."""
        starts = set()
        for segment in segments:
            ends = {window_start(at, length) for at in (segment.first_at, segment.last_at)}
            if max(ends) - min(ends) > length:  # windows in between may be empty, and very many
                ends = {window_start(at, length) for at in self._read_times(segment)}
            starts |= ends
        return starts

    def _read_times(self, segment: Segment) -> list[datetime]:
        times: list[datetime] = read_predictions(self._objects, [segment])["at"].unique().to_list()
        return times
