"""Applies the records of a spool in their order; what is logged is gathered and written together."""

from collections.abc import Iterable

import msgspec
import numpy as np

from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError, PenstockError, UnavailableError
from penstock.core.ids import RunId
from penstock.storage.columns import from_microseconds
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.deliveries.records import (
    Begin,
    End,
    File,
    Join,
    Params,
    Points,
    Record,
    Tags,
    decode_record,
)
from penstock.tracking.deliveries.store import DeliveryStore
from penstock.tracking.deliveries.types import Refusal
from penstock.tracking.facts import Facts
from penstock.tracking.names import check_key, check_texts
from penstock.tracking.service import TrackingService
from penstock.tracking.tables import NAN, Point
from penstock.tracking.types import RunStatus

_NOT_ITS_FAULT = (UnavailableError, CorruptDataError)  # the record may be taken at another time
_STEPS = range(-(2**63), 2**63)


class _Gathered:
    """Points of one run, column by column."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.keys: list[str] = []
        self.steps: list[int] = []
        self.moments: list[int] = []
        self.values: list[float] = []

    def points(self) -> list[Point]:
        """The rows, with values as the tables keep them."""
        return list(zip(self.keys, self.steps, self.moments, to_sortables(self.values), strict=True))


class Applier:
    """Applies one batch in a transaction that is open."""

    def __init__(
        self, tracking: TrackingService, artifacts: ArtifactService, store: DeliveryStore, tx: Transaction
    ) -> None:
        self._tracking = tracking
        self._artifacts = artifacts
        self._store = store
        self._tx = tx
        self._waiting: list[tuple[list[int], Facts]] = []  # the numbers of the records that each is made of
        self._points: dict[RunId, _Gathered] = {}
        self._good_keys: set[str] = set()
        self._refused: list[Refusal] = []

    def apply(self, first: int, payloads: Iterable[bytes]) -> list[Refusal]:
        """Apply records, the first of which has the number `first`; those that cannot be taken are left out.

        Raises:
            NotFoundError: a run that the spool goes on with is not there, or not yet.
        """
        for sequence, payload in enumerate(payloads, first):
            try:
                record = decode_record(payload)
                if isinstance(record, Points):
                    self._gather_points(sequence, record)
                elif isinstance(record, Params | Tags):
                    self._gather_texts(sequence, record)
                else:
                    self._write_waiting()
                    self._apply_alone(sequence, record)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                self._refuse(sequence, InvalidInputError(f"the record cannot be read: {error}"))
            except InvalidInputError as error:
                self._refuse(sequence, error)
        self._write_waiting()
        return sorted(self._refused, key=lambda refusal: refusal.sequence)

    def _gather_points(self, sequence: int, record: Points) -> None:
        if record.step not in _STEPS:
            raise InvalidInputError(f"step {record.step} does not fit in 64 bits", field="step")
        for key in record.values:
            if key not in self._good_keys:
                self._good_keys.add(check_key(key, "metrics"))
        gathered = self._points.get(record.run_id)
        if gathered is None:
            gathered = self._points[record.run_id] = _Gathered()
        gathered.sequences.append(sequence)
        count = len(record.values)
        gathered.keys.extend(record.values)
        gathered.steps.extend([record.step] * count)
        gathered.moments.extend([record.at] * count)
        gathered.values.extend(record.values.values())

    def _gather_texts(self, sequence: int, record: Params | Tags) -> None:
        facts = (
            Facts(record.run_id, params=check_texts(record.params, "params"), may_be_late=True)
            if isinstance(record, Params)
            else Facts(record.run_id, tags=check_texts(record.tags, "tags"), may_be_late=True)
        )
        self._waiting.append(([sequence], facts))

    def _write_waiting(self) -> None:
        waiting = [(one.sequences, Facts(run, one.points(), may_be_late=True)) for run, one in self._points.items()]
        waiting += self._waiting
        self._waiting, self._points = [], {}
        if not waiting:
            return
        outcomes = self._tracking.facts.join_all(self._tx, [facts for _, facts in waiting])
        for (sequences, _), outcome in zip(waiting, outcomes, strict=True):
            if outcome is None:
                continue
            if not isinstance(outcome, PenstockError):
                raise outcome
            for sequence in sequences:
                self._refuse(sequence, outcome)

    def _apply_alone(self, sequence: int, record: Begin | Join | File | End) -> None:
        if isinstance(record, Join):
            self._join(record)
            return
        savepoint = self._tx.connection.begin_nested()
        entries, edges = len(self._tx.entries), len(self._tx.edges)
        try:
            self._write(record)
        except PenstockError as error:
            savepoint.rollback()
            del self._tx.entries[entries:], self._tx.edges[edges:]
            if isinstance(error, _NOT_ITS_FAULT):
                raise
            self._refuse(sequence, error)
        else:
            savepoint.commit()

    def _refuse(self, sequence: int, error: PenstockError) -> None:
        self._refused.append(Refusal(sequence, error.code, str(error)))

    def _write(self, record: Record) -> None:
        match record:
            case Begin():
                self._begin(record)
            case File():
                self._artifacts.log_artifact.join(
                    self._tx, record.run_id, record.path, record.digest, record.size_bytes
                )
            case End():
                self._end(record)

    def _begin(self, record: Begin) -> None:
        try:
            self._create(record, record.parent)
        except NotFoundError:  # the parent is on its way in another spool
            if record.parent is None:
                raise
            self._create(record, None)
            self._store.set_parent(self._tx, record.run_id, record.parent)

    def _create(self, record: Begin, parent: RunId | None) -> None:
        self._tracking.create_run.join(
            self._tx,
            record.experiment,
            name=record.name,
            tags=record.tags,
            source=record.source,
            parent=parent,
            run_id=record.run_id,
            started_at=from_microseconds(record.at),
        )

    def _join(self, record: Join) -> None:
        run = self._tracking.get_run.join(self._tx, record.run_id)
        if record.reopen and run.status.is_terminal:
            self._tracking.resume_run.join(self._tx, record.run_id)

    def _end(self, record: End) -> None:
        held = self._tracking.get_run.join(self._tx, record.run_id).status
        if record.lost and held.is_terminal:
            return
        if held is RunStatus.KILLED and record.status is not held:  # given up for lost, and it has ended by itself
            self._tracking.resume_run.join(self._tx, record.run_id)
        self._tracking.end_run.join(self._tx, record.run_id, record.status, from_microseconds(record.at))


def to_sortables(values: list[float]) -> list[int]:
    """`to_sortable` of many numbers, past the cost of a call for each."""
    numbers = np.array(values, dtype=np.float64)
    numbers[np.isnan(numbers)] = NAN
    bits = numbers.view(np.int64)
    sortable: list[int] = np.where(bits >= 0, bits, bits ^ np.int64(2**63 - 1)).tolist()
    return sortable
