"""The verbs of predictions: take in segments and outcomes, list them, count them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.ids import Ref, SegmentId, check_name
from penstock.predictions.event_time import AHEAD, LAST, read_event_time
from penstock.predictions.input_verbs import InputVerbs
from penstock.predictions.latency import add_latencies, latency_quantile
from penstock.predictions.reading_outcomes import (
    is_clash,
    pick_newest,
    rank,
    rank_of,
    read_entity_outcomes,
    read_outcomes,
)
from penstock.predictions.tables import entity_outcomes as entity_outcome_table
from penstock.predictions.tables import outcomes as outcome_table
from penstock.predictions.tables import traffic_totals
from penstock.predictions.types import (
    Arrivals,
    EntityOutcome,
    Outcome,
    OutcomesAdded,
    RecordedEntityOutcome,
    RecordedOutcome,
    RevisionCounts,
    Segment,
    Traffic,
)
from penstock.predictions.watermark import find_watermark
from penstock.storage.database import Database
from penstock.storage.references import keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads

MAXIMUM_PAGE = 10_000
LONE_TIMES = 1000  # looked at for one that another confirms
MAXIMUM_ROWS = 10_000_000  # of a segment; one is some seconds of traffic
MAXIMUM_BUCKET = 400  # of latencies: hundreds of millions of years


class PredictionService(InputVerbs):
    """Knows which predictions were made, and what turned out to be true of them."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._upsert = db.upsert(
            outcome_table,
            keys=["prediction_id"],
            update=["number", "segment", "deployment", "value", "at", "received_at"],
        )
        self._upsert_of_entities = db.upsert(
            entity_outcome_table, keys=["deployment", "entity", "at"], update=["number", "value", "received_at"]
        )
        self._upsert_totals = db.upsert(
            traffic_totals, keys=["deployment", "revision"], update=["rows", "errors", "fallbacks", "latency"]
        )

    @logs
    def add_segment(self, tx: Transaction, segment: Segment) -> Segment:
        """Take in a segment whose object lies in the store; sending it again changes nothing.

        Raises:
            InvalidInputError: it has no rows or no digest.
            ConflictError: another segment of this id is known.
        """
        _check_segment(segment)
        known = self._store.find_segment(tx, segment.id)
        if known is not None:
            # The digest may differ: a gateway that was killed while shipping packs the same rows once more.
            if (known.deployment, known.rows) != (segment.deployment, segment.rows):
                raise ConflictError(f"segment {segment.id} is known with {known.rows} rows of {known.deployment!r}")
            return known
        number = self._store.last_segment_number(tx) + 1
        added = msgspec.structs.replace(segment, number=number, received_at=tx.now, inputs_dropped_at=None)
        self._store.insert_segment(tx, added)
        self._add_to_totals(tx, added)
        self._match_waiting(tx, added)
        ref = Ref("segment", added.id)
        keep_objects(tx, ref, [added.digest])
        tx.record("predictions.add_segment", ref, deployment=added.deployment, rows=added.rows, digest=added.digest)
        for counts in added.revisions:
            tx.link(Ref("revision", f"{added.deployment}/{counts.revision}"), ref, "answered")
        return added

    @logs
    def add_outcomes(self, tx: Transaction, outcomes: list[Outcome]) -> OutcomesAdded:
        """Take in what turned out to be true, in any order and as often as one likes.

        Of two outcomes of one prediction the one that happened later counts; of two of the same moment, the one whose
        JSON text sorts last, so that the order in which they come makes no difference. One whose prediction is not
        known (yet) is kept, and joined as soon as its segment arrives. Where one row is wrong none is taken.

        Raises:
            InvalidInputError: some rows are wrong; all of them are named.
        """
        read = read_outcomes(outcomes)
        newest, clashes = pick_newest(read, key=lambda item: item.prediction_id)
        known = self._store.find_known(tx, newest)
        fresh = [item for key, item in newest.items() if key not in known or rank(item) > rank_of(*known[key])]
        clashes += sum(key in known and is_clash(item, *known[key]) for key, item in newest.items())
        placed = self._place(tx, fresh)
        if placed:
            self._store.upsert_outcomes(tx, self._upsert, placed)
        return OutcomesAdded(
            accepted=len(placed),
            repeated=len(outcomes) - len(placed),
            unmatched=sum(item.deployment is None for item in placed),
            conflicting=clashes,
        )

    @logs
    def add_entity_outcomes(self, tx: Transaction, deployment: str, outcomes: list[EntityOutcome]) -> OutcomesAdded:
        """Take in what turned out to be true of those that predictions were made for, named by the predictions' key.

        An outcome belongs to the last prediction of its entity before it, or to all of them within the horizon, as
        `[outcomes]` of the project says; which those are is found when predictions are read, so outcomes and
        predictions may come in any order and as often as one likes. Of two outcomes of one entity and moment, the one
        whose JSON text sorts last is kept. Where one row is wrong none is taken.

        Args:
            deployment: whose predictions they are about.
            outcomes: in any order.

        Raises:
            InvalidInputError: some rows are wrong; all of them are named.
        """
        check_name(deployment, "deployment")
        read = read_entity_outcomes(outcomes)
        newest, clashes = pick_newest(read, key=lambda item: (item.entity, item.at))
        known = self._store.find_known_of_entities(tx, deployment, {entity for entity, _ in newest})
        fresh = [item for key, item in newest.items() if key not in known or rank(item) > rank_of(key[1], known[key])]
        clashes += sum(key in known and is_clash(item, key[1], known[key]) for key, item in newest.items())
        first = self._store.last_outcome_number(tx) + 1
        placed = [
            RecordedEntityOutcome(
                deployment=deployment, entity=item.entity, value=item.value, at=item.at, number=number
            )
            for number, item in enumerate(fresh, start=first)
        ]
        if placed:
            self._store.upsert_entity_outcomes(tx, self._upsert_of_entities, placed)
        return OutcomesAdded(len(placed), len(outcomes) - len(placed), conflicting=clashes)

    @reads
    def list_entity_outcomes(
        self,
        tx: Transaction,
        deployment: str,
        after: int = 0,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 10_000,
    ) -> list[RecordedEntityOutcome]:
        """Outcomes of entities in order of arrival; a value that was replaced comes again, with a new number.

        Args:
            deployment: its name.
            after: outcomes up to this number are left out; a reader's cursor.
            start: only those that happened at or after this moment.
            end: only those that happened before this moment.
            limit: at most this many, 1 to 10,000.
        """
        return self._store.list_entity_outcomes(tx, deployment, after=after, start=start, end=end, limit=_page(limit))

    @reads
    def list_segments(
        self,
        tx: Transaction,
        deployment: str,
        after: int = 0,
        start: datetime | None = None,
        end: datetime | None = None,
        received_since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Segment]:
        """A deployment's segments in order of arrival.

        Args:
            deployment: its name.
            after: segments up to this number are left out; a reader's cursor.
            start: only segments with an event at or after this moment.
            end: only segments with an event before this moment.
            received_since: only segments that arrived (wall clock) at or after this moment.
            limit: at most this many, 1 to 10,000.
        """
        return self._store.list_segments(
            tx,
            deployment,
            after=after,
            start=start,
            end=end,
            received_since=received_since,
            limit=_page(limit),
        )

    @reads
    def get_segments(self, tx: Transaction, segments: list[SegmentId]) -> list[Segment]:
        """Those of the segments that are known, in order of arrival."""
        return self._store.get_segments(tx, segments)

    @reads
    def list_outcomes(
        self, tx: Transaction, deployment: str, after: int = 0, limit: int = 10_000
    ) -> list[RecordedOutcome]:
        """A deployment's outcomes in order of arrival; a value that was replaced comes again, with a new number.

        Args:
            deployment: its name.
            after: outcomes up to this number are left out; a reader's cursor.
            limit: at most this many, 1 to 10,000.
        """
        return self._store.list_outcomes(tx, deployment, after=after, limit=_page(limit))

    @reads
    def get_outcomes(self, tx: Transaction, segments: list[SegmentId]) -> list[RecordedOutcome]:
        """What is known to have become of the predictions in some segments."""
        return self._store.get_outcomes(tx, segments)

    @reads
    def get_entity_outcomes(
        self, tx: Transaction, deployment: str, entities: list[str], start: datetime, end: datetime
    ) -> list[RecordedEntityOutcome]:
        """What is known to have become of some entities, from `start` up to before `end`."""
        return self._store.get_entity_outcomes(tx, deployment, entities, start, end)

    @reads
    def list_unmatched(self, tx: Transaction, after: int = 0, limit: int = 1000) -> list[RecordedOutcome]:
        """Outcomes whose prediction is not known, in order of arrival."""
        return self._store.list_outcomes(tx, None, after=after, limit=_page(limit))

    @reads
    def count_unmatched(self, tx: Transaction) -> int:
        """How many outcomes have no known prediction."""
        return self._store.count_outcomes(tx, None)

    @reads
    def list_deployments(self, tx: Transaction) -> list[str]:
        """The names of the deployments that made predictions."""
        return self._store.list_deployments(tx)

    @reads
    def get_arrivals(self, tx: Transaction, deployment: str = "") -> Arrivals:
        """How much has come in so far, of a deployment or of all when none is named."""
        return Arrivals(
            segments=self._store.last_segment_number(tx, deployment),
            outcomes=self._store.last_outcome_number(tx, deployment),
        )

    @reads
    def watermark(self, tx: Transaction, deployment: str) -> datetime | None:
        """The newest event time among a deployment's predictions that can be believed; None where there is none.

        See `penstock.predictions.watermark` for what is not believed.
        """
        return self._find_watermark(tx, deployment)

    @reads
    def get_traffic(
        self,
        tx: Transaction,
        deployment: str,
        start: datetime | None = None,
        end: datetime | None = None,
        received_since: datetime | None = None,
    ) -> Traffic:
        """What a deployment answered, in whole segments; of all time when no bound is given.

        Args:
            deployment: its name.
            start: only segments with an event at or after this moment.
            end: only segments with an event before this moment.
            received_since: only segments that arrived (wall clock) at or after this moment, such as a rollout's step.
        """
        if (start, end, received_since) == (None, None, None):
            count, dropped = self._store.count_segments(tx, deployment)
            found = self._store.list_totals(tx, deployment)
        else:
            held = self._store.list_segments(tx, deployment, start=start, end=end, received_since=received_since)
            count, dropped = len(held), sum(segment.inputs_dropped_at is not None for segment in held)
            found = add_counts([counts for segment in held for counts in segment.revisions])
        revisions = [counts for counts in found if not counts.is_shadow]
        latency = add_latencies(counts.latency for counts in revisions)
        return Traffic(
            deployment=deployment,
            segments=count,
            without_inputs=dropped,
            rows=sum(counts.rows for counts in revisions),
            errors=sum(counts.errors for counts in revisions),
            fallbacks=sum(counts.fallbacks for counts in revisions),
            latency_p50_ms=latency_quantile(latency, 0.5),
            latency_p99_ms=latency_quantile(latency, 0.99),
            outcomes=self._store.count_outcomes(tx, deployment),
            watermark=self._find_watermark(tx, deployment),
            revisions=revisions,
            shadows=[counts for counts in found if counts.is_shadow],
        )

    def _find_watermark(self, tx: Transaction, deployment: str) -> datetime | None:
        for until in (tx.now + AHEAD, LAST):  # where all that came is ahead of our clock, it is our clock that is wrong
            settled = self._store.find_settled(tx, deployment, until)
            lone = self._store.list_newest_times(tx, deployment, settled, until, LONE_TIMES)
            found = find_watermark(settled, lone)
            if found is not None:
                return found
        return None

    def _add_to_totals(self, tx: Transaction, segment: Segment) -> None:
        answers = [counts for counts in segment.revisions if not counts.is_shadow]
        totals = add_counts([*self._store.list_totals(tx, segment.deployment), *answers])
        touched = {counts.revision for counts in answers}
        changed = [counts for counts in totals if counts.revision in touched]
        if changed:
            self._store.set_totals(tx, self._upsert_totals, segment.deployment, changed)

    def _match_waiting(self, tx: Transaction, segment: Segment) -> None:
        """Outcomes that came before their segment now find their predictions."""
        number = self._store.last_outcome_number(tx) + 1
        for prediction_id in self._store.list_unmatched(tx, segment.id):
            if _row_of(prediction_id) < segment.rows:
                self._store.match_outcome(tx, prediction_id, segment.deployment, number)
                number += 1

    def _place(self, tx: Transaction, fresh: list[Outcome]) -> list[RecordedOutcome]:
        homes = self._store.find_segments(tx, {_segment_of(item.prediction_id) for item in fresh})
        first = self._store.last_outcome_number(tx) + 1
        placed = []
        for number, item in enumerate(fresh, start=first):
            segment = _segment_of(item.prediction_id)
            deployment, rows = homes.get(segment, (None, 0))
            placed.append(
                RecordedOutcome(
                    prediction_id=item.prediction_id,
                    value=item.value,
                    at=item.at,
                    number=number,
                    segment=segment,
                    deployment=deployment if _row_of(item.prediction_id) < rows else None,
                )
            )
        return placed


def add_counts(parts: Sequence[RevisionCounts]) -> list[RevisionCounts]:
    """The counts of each revision over several parts, those of its copies apart."""
    return [
        RevisionCounts(
            revision=revision,
            is_shadow=is_shadow,
            rows=sum(part.rows for part in own),
            errors=sum(part.errors for part in own),
            fallbacks=sum(part.fallbacks for part in own),
            latency=add_latencies(part.latency for part in own),
        )
        for revision, is_shadow in sorted({(part.revision, part.is_shadow) for part in parts})
        if (own := [part for part in parts if (part.revision, part.is_shadow) == (revision, is_shadow)])
    ]


def _check_segment(segment: Segment) -> None:
    check_name(segment.deployment, "deployment")
    if not 1 <= segment.rows <= MAXIMUM_ROWS:
        raise InvalidInputError(f"segment {segment.id} cannot have {segment.rows} rows", field="segment.rows")
    if not segment.digest:
        raise InvalidInputError(
            f"segment {segment.id} has no digest", hint="put its object into the store first", field="segment.digest"
        )
    read_event_time(segment.first_at, "segment.first_at")  # the newest is what all windows are closed by
    read_event_time(segment.last_at, "segment.last_at")
    if segment.settled_at is not None and not segment.first_at <= segment.settled_at <= segment.last_at:
        raise InvalidInputError(
            f"segment {segment.id}: settled_at lies outside of its event times", field="segment.settled_at"
        )
    for place, counts in enumerate(segment.revisions):
        _check_counts(counts, segment.rows, f"segment.revisions[{place}]")


def _check_counts(counts: RevisionCounts, rows: int, field: str) -> None:
    held = (counts.rows, counts.errors, counts.fallbacks, *(count for _bucket, count in counts.latency))
    if not all(0 <= count <= rows for count in held):
        raise InvalidInputError(f"{field}: a count is not between 0 and the segment's {rows} rows", field=field)
    if not all(0 <= bucket <= MAXIMUM_BUCKET for bucket, _count in counts.latency):
        raise InvalidInputError(f"{field}.latency: a bucket is not between 0 and {MAXIMUM_BUCKET}", field=field)


def _segment_of(prediction_id: str) -> SegmentId:
    return SegmentId(prediction_id.rpartition("-")[0][:40])


def _row_of(prediction_id: str) -> int:
    """The row in the segment; one beyond any segment for an id that penstock did not give."""
    row = prediction_id.rpartition("-")[2]
    return int(row) if row.isascii() and row.isdigit() else 2**62


def _page(limit: int) -> int:
    return min(max(limit, 1), MAXIMUM_PAGE)
