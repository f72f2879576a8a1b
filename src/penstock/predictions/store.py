"""The SQL of predictions; a query per method."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, or_, select, update

from penstock.core.ids import PredictionId, SegmentId
from penstock.predictions.tables import entity_outcomes, outcomes, segments, traffic_totals
from penstock.predictions.types import RecordedEntityOutcome, RecordedOutcome, RevisionCounts, Segment
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction

KEYS_PER_QUERY = 500


class PredictionStore:
    """Reads and writes segments and outcomes."""

    def find_segment(self, tx: Transaction, segment_id: SegmentId) -> Segment | None:
        """The segment, or None."""
        row = tx.execute(select(segments).where(segments.c.id == segment_id)).one_or_none()
        return None if row is None else from_row(Segment, row)

    def insert_segment(self, tx: Transaction, segment: Segment) -> None:
        """Add a segment."""
        tx.execute(insert(segments).values(to_row(segment)))

    def drop_inputs(self, tx: Transaction, segment: Segment) -> None:
        """Write that a segment's object is another one, without inputs."""
        changed = {"digest": segment.digest, "inputs_dropped_at": segment.inputs_dropped_at}
        tx.execute(update(segments).where(segments.c.id == segment.id).values(changed))

    def list_inputs_due(
        self, tx: Transaction, deployment: str, *, before: datetime, closed_until: datetime, ahead: datetime, limit: int
    ) -> list[Segment]:
        """Segments with inputs that came before a moment, and whose event times have passed or will not be believed."""
        held = segments.c
        query = select(segments).where(held.deployment == deployment, held.inputs_dropped_at.is_(None))
        query = query.where(held.received_at < before, or_(held.last_at < closed_until, held.last_at > ahead))
        return [
            from_row(Segment, row) for row in tx.execute(query.order_by(held.received_at, held.number).limit(limit))
        ]

    def last_segment_number(self, tx: Transaction, deployment: str = "") -> int:
        """The highest so far, of a deployment or of all; 0 for none."""
        query = select(func.max(segments.c.number))
        return int(tx.execute(query.where(segments.c.deployment == deployment) if deployment else query).scalar() or 0)

    def list_totals(self, tx: Transaction, deployment: str) -> list[RevisionCounts]:
        """What all segments of each revision add up to."""
        query = select(traffic_totals).where(traffic_totals.c.deployment == deployment)
        return [from_row(RevisionCounts, row) for row in tx.execute(query.order_by(traffic_totals.c.revision))]

    def set_totals(self, tx: Transaction, statement: Any, deployment: str, totals: Sequence[RevisionCounts]) -> None:
        """Write totals with a statement that `Database.upsert` made."""
        rows = [{"deployment": deployment, **to_row(counts)} for counts in totals]
        names = [column.name for column in traffic_totals.c]
        tx.execute(statement, [{name: row[name] for name in names} for row in rows])

    def count_segments(self, tx: Transaction, deployment: str) -> tuple[int, int]:
        """How many segments a deployment has, and how many of them are without inputs."""
        counts = select(func.count(), func.count(segments.c.inputs_dropped_at))
        row: Any = tx.execute(counts.where(segments.c.deployment == deployment)).one()
        return int(row[0]), int(row[1])

    def list_segments(
        self,
        tx: Transaction,
        deployment: str,
        *,
        after: int = 0,
        start: datetime | None = None,
        end: datetime | None = None,
        received_since: datetime | None = None,
        limit: int | None = None,
    ) -> list[Segment]:
        """A deployment's segments in order of arrival: those that hold event times from `start` up to before `end`."""
        query = _in_time(select(segments).where(segments.c.deployment == deployment), start, end)
        if after:
            query = query.where(segments.c.number > after)
        if received_since is not None:
            query = query.where(segments.c.received_at >= received_since)
        return [from_row(Segment, row) for row in tx.execute(query.order_by(segments.c.number).limit(limit))]

    def get_segments(self, tx: Transaction, ids: Iterable[SegmentId]) -> list[Segment]:
        """Those of the segments that are known, in order of arrival."""
        found: list[Segment] = []
        for keys in _slices(sorted(set(ids))):
            found += [from_row(Segment, row) for row in tx.execute(select(segments).where(segments.c.id.in_(keys)))]
        return sorted(found, key=lambda segment: segment.number)

    def list_deployments(self, tx: Transaction) -> list[str]:
        """The names of the deployments that have segments."""
        return list(tx.execute(select(segments.c.deployment).distinct().order_by(segments.c.deployment)).scalars())

    def find_settled(self, tx: Transaction, deployment: str, until: datetime) -> datetime | None:
        """The newest event time up to a moment that another row of its own segment confirms."""
        own = (segments.c.deployment == deployment) & (segments.c.settled_at <= until)
        newest: datetime | None = tx.execute(select(func.max(segments.c.settled_at)).where(own)).scalar()
        return newest

    def list_newest_times(
        self, tx: Transaction, deployment: str, after: datetime | None, until: datetime, limit: int
    ) -> list[tuple[datetime, datetime]]:
        """The newest event time of each segment, and when it arrived; those in a span of event time, newest first."""
        own = (segments.c.deployment == deployment) & (segments.c.last_at <= until)
        query = select(segments.c.last_at, segments.c.received_at).where(own)
        if after is not None:
            query = query.where(segments.c.last_at > after)
        return [
            (row.last_at, row.received_at) for row in tx.execute(query.order_by(segments.c.last_at.desc()).limit(limit))
        ]

    def find_segments(self, tx: Transaction, ids: Iterable[SegmentId]) -> dict[SegmentId, tuple[str, int]]:
        """Those of the segments that are known: id -> deployment and number of rows."""
        found: dict[SegmentId, tuple[str, int]] = {}
        for keys in _slices(sorted(set(ids))):
            query = select(segments.c.id, segments.c.deployment, segments.c.rows).where(segments.c.id.in_(keys))
            found.update({row.id: (row.deployment, row.rows) for row in tx.execute(query)})
        return found

    def last_outcome_number(self, tx: Transaction, deployment: str = "") -> int:
        """The highest so far, of predictions and entities, of a deployment or of all; 0 for none."""
        newest = 0
        for table in (outcomes, entity_outcomes):
            query = select(func.max(table.c.number))
            query = query.where(table.c.deployment == deployment) if deployment else query
            newest = max(newest, int(tx.execute(query).scalar() or 0))
        return newest

    def find_known(self, tx: Transaction, ids: Iterable[PredictionId]) -> dict[PredictionId, tuple[datetime, Any]]:
        """Those of the outcomes that are known: prediction id -> when it happened, and what."""
        found: dict[PredictionId, tuple[datetime, Any]] = {}
        for keys in _slices(sorted(set(ids))):
            query = select(outcomes.c.prediction_id, outcomes.c.at, outcomes.c.value)
            rows = tx.execute(query.where(outcomes.c.prediction_id.in_(keys)))
            found.update({row.prediction_id: (row.at, row.value) for row in rows})
        return found

    def find_known_of_entities(
        self, tx: Transaction, deployment: str, entities: Iterable[str]
    ) -> dict[tuple[str, datetime], Any]:
        """What is known of some entities: entity and when it happened -> what."""
        found: dict[tuple[str, datetime], Any] = {}
        held = entity_outcomes.c
        for keys in _slices(sorted(set(entities))):
            query = select(held.entity, held.at, held.value)
            rows = tx.execute(query.where(held.deployment == deployment, held.entity.in_(keys)))
            found.update({(row.entity, row.at): row.value for row in rows})
        return found

    def get_entity_outcomes(
        self, tx: Transaction, deployment: str, entities: Iterable[str], start: datetime, end: datetime
    ) -> list[RecordedEntityOutcome]:
        """The outcomes of some entities that happened from `start` up to before `end`."""
        found: list[RecordedEntityOutcome] = []
        held = entity_outcomes.c
        for keys in _slices(sorted(set(entities))):
            query = select(entity_outcomes).where(held.deployment == deployment, held.entity.in_(keys))
            rows = tx.execute(query.where(held.at >= start, held.at < end))
            found += [from_row(RecordedEntityOutcome, row) for row in rows]
        return found

    def upsert_entity_outcomes(self, tx: Transaction, statement: Any, rows: Sequence[RecordedEntityOutcome]) -> None:
        """Add or replace outcomes of entities with a statement that `Database.upsert` made."""
        tx.execute(statement, [{**to_row(row), "received_at": tx.now} for row in rows])

    def list_entity_outcomes(
        self,
        tx: Transaction,
        deployment: str,
        *,
        after: int,
        start: datetime | None,
        end: datetime | None,
        limit: int,
    ) -> list[RecordedEntityOutcome]:
        """Outcomes of entities in order of arrival: those that happened from `start` up to before `end`."""
        held = entity_outcomes.c
        query = select(entity_outcomes).where(held.deployment == deployment, held.number > after)
        if start is not None:
            query = query.where(held.at >= start)
        if end is not None:
            query = query.where(held.at < end)
        rows = tx.execute(query.order_by(held.number).limit(limit))
        return [from_row(RecordedEntityOutcome, row) for row in rows]

    def upsert_outcomes(self, tx: Transaction, statement: Any, rows: Sequence[RecordedOutcome]) -> None:
        """Add or replace outcomes with a statement that `Database.upsert` made."""
        tx.execute(statement, [{**to_row(row), "received_at": tx.now} for row in rows])

    def list_unmatched(self, tx: Transaction, segment: SegmentId) -> list[PredictionId]:
        """The ids of outcomes that wait for this segment, in order of arrival."""
        waiting = (outcomes.c.segment == segment) & outcomes.c.deployment.is_(None)
        return list(tx.execute(select(outcomes.c.prediction_id).where(waiting).order_by(outcomes.c.number)).scalars())

    def match_outcome(self, tx: Transaction, prediction_id: PredictionId, deployment: str, number: int) -> None:
        """Give an outcome its deployment, and a new place in the order of arrival."""
        this = outcomes.c.prediction_id == prediction_id
        tx.execute(update(outcomes).where(this).values(deployment=deployment, number=number))

    def list_outcomes(
        self, tx: Transaction, deployment: str | None, *, after: int, limit: int
    ) -> list[RecordedOutcome]:
        """Outcomes in order of arrival; unmatched ones for the deployment None."""
        query = _of_deployment(select(outcomes), deployment).where(outcomes.c.number > after)
        rows = tx.execute(query.order_by(outcomes.c.number).limit(limit))
        return [from_row(RecordedOutcome, row) for row in rows]

    def get_outcomes(self, tx: Transaction, held: Iterable[SegmentId]) -> list[RecordedOutcome]:
        """The outcomes of the predictions in some segments."""
        found: list[RecordedOutcome] = []
        for keys in _slices(sorted(set(held))):
            query = select(outcomes).where(outcomes.c.segment.in_(keys), outcomes.c.deployment.is_not(None))
            found += [from_row(RecordedOutcome, row) for row in tx.execute(query)]
        return found

    def count_outcomes(self, tx: Transaction, deployment: str | None) -> int:
        """How many outcomes a deployment has; those without a known prediction for None."""
        count = int(tx.execute(_of_deployment(select(func.count()).select_from(outcomes), deployment)).scalar_one())
        if deployment is None:
            return count
        own = entity_outcomes.c.deployment == deployment
        return count + int(tx.execute(select(func.count()).select_from(entity_outcomes).where(own)).scalar_one())


def _of_deployment(query: Select[Any], deployment: str | None) -> Select[Any]:
    if deployment is None:
        return query.where(outcomes.c.deployment.is_(None))
    return query.where(outcomes.c.deployment == deployment)


def _in_time(query: Select[Any], start: datetime | None, end: datetime | None) -> Select[Any]:
    if start is not None:
        query = query.where(segments.c.last_at >= start)
    if end is not None:
        query = query.where(segments.c.first_at < end)
    return query


def _slices(keys: list[Any]) -> Iterable[list[Any]]:
    for first in range(0, len(keys), KEYS_PER_QUERY):
        yield keys[first : first + KEYS_PER_QUERY]
