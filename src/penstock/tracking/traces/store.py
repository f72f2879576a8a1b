"""The SQL of traces: one query per method, no rules."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import structs
from sqlalchemy import Select, Table, delete, insert, select, update

from penstock.core.ids import ExperimentId
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.traces.tables import spans, trace_metadata, trace_tags, traces
from penstock.tracking.traces.types import Span, Trace

_CHUNK = 500  # ids in one query
_SPAN_KEY = ("trace_id", "span_id")


class TraceStore:
    """Reads and writes traces and their spans."""

    def __init__(self, db: Database) -> None:
        self._set_tags = db.upsert(trace_tags, keys=("trace_id", "key"), update=("value",))
        self._set_metadata = db.upsert(trace_metadata, keys=("trace_id", "key"), update=("value",))
        rest = tuple(column.name for column in spans.c if column.name not in _SPAN_KEY)
        self._set_spans = db.upsert(spans, keys=_SPAN_KEY, update=rest)

    def add(self, tx: Transaction, trace: Trace) -> None:
        """Insert a trace with its metadata and tags."""
        tx.execute(insert(traces).values(_columns_of(trace)))
        self.set_metadata(tx, trace.id, trace.metadata)
        self.set_tags(tx, trace.id, trace.tags)

    def change(self, tx: Transaction, trace: Trace) -> None:
        """Set every column of a trace; metadata and tags that are not named stay."""
        tx.execute(update(traces).where(traces.c.id == trace.id).values(_columns_of(trace)))
        self.set_metadata(tx, trace.id, trace.metadata)
        self.set_tags(tx, trace.id, trace.tags)

    def find(self, tx: Transaction, trace_id: str) -> Trace | None:
        """A trace with its metadata and tags."""
        found = self.find_all(tx, [trace_id])
        return found[0] if found else None

    def find_all(self, tx: Transaction, ids: Sequence[str]) -> list[Trace]:
        """Those of these traces that there are, in the order asked for."""
        held: dict[str, Trace] = {}
        for chunk in _in_chunks(ids):
            for row in tx.execute(select(traces).where(traces.c.id.in_(chunk))):
                held[row.id] = from_row(Trace, row)
        return self.fill(tx, [held[trace_id] for trace_id in dict.fromkeys(ids) if trace_id in held])

    def list_newest(
        self, tx: Transaction, experiment_id: ExperimentId, limit: int, before: Trace | None
    ) -> list[Trace]:
        """Traces of an experiment, the newest first, those behind `before`."""
        held = traces.c
        query = select(traces).where(held.experiment_id == experiment_id)
        if before is not None:
            is_older = (held.started_at == before.started_at) & (held.id < before.id)
            query = query.where(held.started_at <= before.started_at, (held.started_at < before.started_at) | is_older)
        query = query.order_by(held.started_at.desc(), held.id.desc()).limit(limit)
        return self.fill(tx, [from_row(Trace, row) for row in tx.execute(query)])

    def search(self, tx: Transaction, query: Select[Any], limit: int, offset: int) -> list[Trace]:
        """A part of what a query of `search.build_search` finds."""
        return self.fill(tx, [from_row(Trace, row) for row in tx.execute(query.limit(limit).offset(offset))])

    def set_tags(self, tx: Transaction, trace_id: str, tags: dict[str, str]) -> None:
        """Set tags; a tag that was there gets the new value."""
        rows = [{"trace_id": trace_id, "key": key, "value": value} for key, value in tags.items()]
        if rows:
            tx.execute(self._set_tags, rows)

    def set_metadata(self, tx: Transaction, trace_id: str, given: dict[str, str]) -> None:
        """Set metadata; what was there under the same key gets the new value."""
        rows = [{"trace_id": trace_id, "key": key, "value": value} for key, value in given.items()]
        if rows:
            tx.execute(self._set_metadata, rows)

    def remove_tag(self, tx: Transaction, trace_id: str, key: str) -> bool:
        """Forget a tag; False when there was none."""
        held = (trace_tags.c.trace_id == trace_id) & (trace_tags.c.key == key)
        return bool(tx.execute(delete(trace_tags).where(held)).rowcount)

    def set_spans(self, tx: Transaction, given: Sequence[Span]) -> None:
        """Keep spans; one that is known is replaced."""
        if given:
            tx.execute(self._set_spans, [to_row(span) for span in given])

    def spans_of(self, tx: Transaction, ids: Sequence[str]) -> dict[str, list[Span]]:
        """The spans of each of these traces, by their beginning."""
        found: dict[str, list[Span]] = {trace_id: [] for trace_id in ids}
        for chunk in _in_chunks(ids):
            query = select(spans).where(spans.c.trace_id.in_(chunk))
            for row in tx.execute(query.order_by(spans.c.trace_id, spans.c.started_ns, spans.c.span_id)):
                found[row.trace_id].append(from_row(Span, row))
        return found

    def list_ids(
        self,
        tx: Transaction,
        experiment_id: ExperimentId,
        limit: int,
        *,
        ids: Sequence[str] | None = None,
        until: datetime | None = None,
    ) -> list[str]:
        """Ids of traces of an experiment, the oldest first: those among `ids`, and not begun after `until`."""
        held = traces.c
        query = select(held.id).where(held.experiment_id == experiment_id).order_by(held.started_at, held.id)
        if ids is not None:
            query = query.where(held.id.in_(ids))
        if until is not None:
            query = query.where(held.started_at <= until)
        return list(tx.execute(query.limit(limit)).scalars())

    def remove(self, tx: Transaction, ids: Sequence[str]) -> None:
        """Delete traces with all that belongs to them."""
        for chunk in _in_chunks(ids):
            for table in (spans, trace_tags, trace_metadata):
                tx.execute(delete(table).where(table.c.trace_id.in_(chunk)))
            tx.execute(delete(traces).where(traces.c.id.in_(chunk)))

    def fill(self, tx: Transaction, found: Sequence[Trace]) -> list[Trace]:
        """The same traces with their metadata and tags."""
        ids = [trace.id for trace in found]
        given = self._texts_of(tx, trace_metadata, ids)
        tags = self._texts_of(tx, trace_tags, ids)
        return [structs.replace(trace, metadata=given[trace.id], tags=tags[trace.id]) for trace in found]

    def _texts_of(self, tx: Transaction, table: Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        texts: dict[str, dict[str, str]] = {trace_id: {} for trace_id in ids}
        for chunk in _in_chunks(ids):
            query = select(table).where(table.c.trace_id.in_(chunk)).order_by(table.c.trace_id, table.c.key)
            for row in tx.execute(query):
                texts[row.trace_id][row.key] = row.value
        return texts


def _columns_of(trace: Trace) -> dict[str, Any]:
    return {name: value for name, value in to_row(trace).items() if name in traces.c}


def _in_chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
