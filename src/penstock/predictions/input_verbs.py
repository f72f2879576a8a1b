"""The verbs of a retention: which segments hold inputs that are older than they are kept, and that they do no more."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import structs

from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest, Ref, SegmentId
from penstock.predictions.event_time import AHEAD
from penstock.predictions.store import PredictionStore
from penstock.predictions.types import Segment
from penstock.storage.database import Database
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads


class InputVerbs:
    """Lets the inputs of predictions leave the log; the predictions stay."""

    noun = "predictions"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = PredictionStore()

    @reads
    def list_inputs_due(
        self, tx: Transaction, deployment: str, kept_for: timedelta, closed_until: datetime, limit: int = 100
    ) -> list[Segment]:
        """Segments whose inputs have been kept for long enough, the oldest first.

        Time is counted from when a segment came in, or from its newest event where that is later. Event times that
        are further ahead of the clock than is believed keep nothing.

        Args:
            deployment: its name.
            kept_for: how long inputs are kept.
            closed_until: event time: segments that reach beyond are left out.
            limit: at most this many.
        """
        before = tx.now - kept_for
        return self._store.list_inputs_due(
            tx,
            deployment,
            before=before,
            closed_until=min(before, closed_until),
            ahead=tx.now + AHEAD,
            limit=limit,
        )

    @logs
    def drop_inputs(self, tx: Transaction, segment_id: SegmentId, digest: Digest, kept: Sequence[str]) -> Segment:
        """Put an object without inputs in the place of a segment's own; doing it twice changes nothing.

        What nothing else needs of the object before is deleted by the next `penstock gc` after its grace.

        Args:
            segment_id: which.
            digest: of the object, in the store already (`dropping.drop_inputs` makes it).
            kept: the input columns that are still in it.

        Raises:
            NotFoundError: there is no such segment.
        """
        known = self._store.find_segment(tx, segment_id)
        if known is None:
            raise NotFoundError(f"there is no segment {segment_id!r}")
        if known.inputs_dropped_at is not None:
            return known
        dropped = structs.replace(known, digest=digest, inputs_dropped_at=tx.now)
        self._store.drop_inputs(tx, dropped)
        ref = Ref("segment", known.id)
        drop_objects(tx, ref)
        keep_objects(tx, ref, [digest])
        tx.record(
            "predictions.drop_inputs",
            ref,
            deployment=known.deployment,
            kept=list(kept),
            digest=digest,
            before=known.digest,
        )
        return dropped
