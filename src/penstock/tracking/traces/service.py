"""The verbs of traces."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import structs

from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import ExperimentId, RunId
from penstock.storage.columns import from_microseconds
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, reads, writes
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.locations import experiment_location
from penstock.tracking.names import check_key, check_texts, check_value
from penstock.tracking.pages import read_offset
from penstock.tracking.traces.search import SOURCE_RUN, build_search
from penstock.tracking.traces.store import TraceStore
from penstock.tracking.traces.types import Span, SpanStatus, Trace, TracePage, TraceState
from penstock.tracking.types import Experiment

PAGE_LIMIT = 500
DELETE_LIMIT = 10_000  # traces in one call
LINK_LIMIT = 100  # traces in one call
TRACE_NAME = "mlflow.traceName"
LOCATION = "mlflow.artifactLocation"
SPANS_LOCATION = "mlflow.trace.spansLocation"
HERE = "TRACKING_STORE"  # tells clients that spans are read from this server, not from a file
_ID_LIMIT = 64  # characters
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_PREVIEW = 1_000  # characters
_STATES = {SpanStatus.UNSET: TraceState.OK, SpanStatus.OK: TraceState.OK, SpanStatus.ERROR: TraceState.ERROR}


class TraceService:
    """Traces of an experiment. A client tells of a trace and sends its spans, in any order; both may be repeated."""

    noun = "traces"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = TraceStore(db)
        self._experiments = ExperimentService(db)

    @logs
    def log_trace(self, tx: Transaction, trace: Trace) -> Trace:
        """Keep what a client tells of a trace; metadata and tags that are not named stay.

        Raises:
            ConflictError: the trace belongs to another experiment, or its experiment is deleted.
        """
        home = self._experiments.get_active.join(tx, trace.experiment_id)
        _check_id(trace.id, "trace_id")
        _check_texts(trace)
        tags = trace.tags | {LOCATION: _location(home, trace.id)}
        told = structs.replace(trace, tags=tags, is_announced=True)
        known = self._store.find(tx, trace.id)
        if known is None:
            self._store.add(tx, told)
        else:
            _check_home(known, home)
            self._store.change(tx, told)
        return self._get(tx, trace.id)

    @logs
    def log_spans(self, tx: Transaction, experiment_id: ExperimentId, spans: Sequence[Span]) -> None:
        """Keep spans; one that is sent again replaces the one before. A trace nobody told of is made of its spans.

        Raises:
            ConflictError: a trace belongs to another experiment, or the experiment is deleted.
        """
        for place, span in enumerate(spans):
            _check_span(span, f"spans[{place}]")
        home = self._experiments.get_active.join(tx, experiment_id)
        ids = list(dict.fromkeys(span.trace_id for span in spans))
        known = {trace.id: trace for trace in self._store.find_all(tx, ids)}
        for trace in known.values():
            _check_home(trace, home)
        first = {span.trace_id: span for span in reversed(spans)}
        for trace_id in (trace_id for trace_id in ids if trace_id not in known):
            trace = Trace(
                id=trace_id,
                experiment_id=home.id,
                started_at=_to_moment(first[trace_id].started_ns),
                is_announced=False,
                tags={LOCATION: _location(home, trace_id)},
            )
            self._store.add(tx, trace)
            known[trace_id] = trace
        self._store.set_spans(tx, spans)
        held = self._store.spans_of(tx, [trace.id for trace in known.values() if not trace.is_announced])
        for trace_id in ids:
            if trace_id in held:
                self._store.change(tx, _summarise(known[trace_id], held[trace_id]))
            self._store.set_tags(tx, trace_id, {SPANS_LOCATION: HERE})

    @reads
    def get_trace(self, tx: Transaction, trace_id: str) -> Trace:
        """A trace with its metadata and tags."""
        return self._get(tx, trace_id)

    @reads
    def find_traces(self, tx: Transaction, trace_ids: list[str]) -> list[Trace]:
        """Those of these traces that there are."""
        if len(trace_ids) > PAGE_LIMIT:
            raise InvalidInputError(f"{len(trace_ids)} traces in one call", hint=f"name up to {PAGE_LIMIT}")
        return self._store.find_all(tx, trace_ids)

    @reads
    def list_traces(
        self, tx: Transaction, experiment_id: ExperimentId, limit: int = 100, after: str = ""
    ) -> list[Trace]:
        """Traces of an experiment, the newest first; to go on, give the id of the last one as `after`."""
        self._experiments.get_experiment_by_id.join(tx, experiment_id)
        last = self._get(tx, after) if after else None
        return self._store.list_newest(tx, experiment_id, check_limit(limit), last)

    @reads
    def search_traces(
        self,
        tx: Transaction,
        experiment_ids: list[ExperimentId],
        filter: str = "",  # the protocol's word
        order_by: list[str] = [],  # noqa: B006  # read only
        limit: int = 100,
        after: str = "",
    ) -> TracePage:
        """Traces that fit a filter such as `status = 'ERROR' AND tags.team = 'risk'`, the newest first.

        Args:
            experiment_ids: whose traces are searched, 1 to 500.
            filter: clauses on attributes, `tags.` and `metadata.`, joined by AND; empty for all. `trace.text LIKE
                '%timeout%'` finds a text in any of a trace's spans.
            order_by: attributes, each with ASC or DESC behind it.
            limit: how many at most, 1 to 500.
            after: the `next` of the page before.

        Raises:
            InvalidInputError: the filter, the order or the page cannot be read.
        """
        if not 1 <= len(experiment_ids) <= PAGE_LIMIT:
            raise InvalidInputError(f"name 1 to {PAGE_LIMIT} experiments, not {len(experiment_ids)}", field="locations")
        offset = read_offset(after)
        query = build_search(experiment_ids, filter, order_by)
        found = self._store.search(tx, query, check_limit(limit) + 1, offset)
        return TracePage(tuple(found[:limit]), str(offset + limit) if len(found) > limit else "")

    @reads
    def list_spans(self, tx: Transaction, trace_id: str) -> list[Span]:
        """The spans of a trace, by their beginning."""
        self._get(tx, trace_id)
        return self._store.spans_of(tx, [trace_id])[trace_id]

    @logs
    def set_trace_tags(self, tx: Transaction, trace_id: str, tags: dict[str, str]) -> None:
        """Set tags; those not named stay."""
        self._get(tx, trace_id)
        self._store.set_tags(tx, trace_id, check_texts(tags, "tags"))

    @logs
    def link_traces(self, tx: Transaction, trace_ids: list[str], run_id: RunId) -> None:
        """Say that traces belong to a run; one that belonged to another is moved. Searches find them by `run_id`."""
        if not 1 <= len(trace_ids) <= LINK_LIMIT:
            raise InvalidInputError(f"name 1 to {LINK_LIMIT} traces, not {len(trace_ids)}", field="trace_ids")
        for trace_id in trace_ids:
            self._get(tx, trace_id)
            self._store.set_metadata(tx, trace_id, {SOURCE_RUN: run_id})

    @logs
    def remove_trace_tag(self, tx: Transaction, trace_id: str, key: str) -> None:
        """Forget a tag.

        Raises:
            NotFoundError: the trace has no such tag.
        """
        trace = self._get(tx, trace_id)
        if not self._store.remove_tag(tx, trace_id, key):
            raise NotFoundError(f"No trace tag with key {key[:250]!r} for trace with ID {trace_id!r}")
        tx.record("traces.remove_trace_tag", trace.ref, key=key)

    @writes
    def delete_traces(
        self,
        tx: Transaction,
        experiment_id: ExperimentId,
        trace_ids: list[str] | None = None,
        until: datetime | None = None,
        limit: int = DELETE_LIMIT,
    ) -> int:
        """Delete traces of an experiment for good: those named, or the oldest that began by `until`.

        Returns:
            How many were deleted.
        """
        if (trace_ids is None) == (until is None):
            raise InvalidInputError(
                "name the traces to delete, or the moment up to which they are deleted, and not both",
                field="trace_ids",
            )
        if len(trace_ids or ()) > DELETE_LIMIT or not 1 <= limit <= DELETE_LIMIT:
            raise InvalidInputError(f"1 to {DELETE_LIMIT} traces are deleted in one call", field="limit")
        home = self._experiments.get_experiment_by_id.join(tx, experiment_id)
        ids = self._store.list_ids(tx, experiment_id, limit, ids=trace_ids, until=until)
        self._store.remove(tx, ids)
        tx.record("traces.delete_traces", home.ref, count=len(ids), until=until)
        return len(ids)

    def spans_of(self, tx: Transaction, traces: Sequence[Trace]) -> dict[str, list[Span]]:
        """The spans of each of these traces."""
        return self._store.spans_of(tx, [trace.id for trace in traces])

    def _get(self, tx: Transaction, trace_id: str) -> Trace:
        trace = self._store.find(tx, trace_id)
        if trace is None:
            raise NotFoundError(f"Trace with ID '{trace_id[:200]}' not found")
        return trace


def check_limit(limit: int) -> int:
    """The number of traces of a page itself, when it is not too large."""
    if not 1 <= limit <= PAGE_LIMIT:
        raise InvalidInputError(f"limit {limit} is not between 1 and {PAGE_LIMIT}", field="limit")
    return limit


def _location(home: Experiment, trace_id: str) -> str:
    return f"{experiment_location(home.id, home.artifact_location)}/traces/{trace_id}/artifacts"


def _check_id(trace_id: str, field: str) -> None:
    if len(check_key(trace_id, field)) > _ID_LIMIT:
        raise InvalidInputError(f"{field}: a trace id has up to {_ID_LIMIT} characters", field=field)


def _check_span(span: Span, place: str) -> None:
    _check_id(span.trace_id, f"{place}.trace_id")
    if not _SPAN_ID.fullmatch(span.span_id) or (span.parent_id and not _SPAN_ID.fullmatch(span.parent_id)):
        field = f"{place}.span_id"
        raise InvalidInputError(f"{field}: a span id has 16 hexadecimal digits, as its parent's has", field=field)


def _check_texts(trace: Trace) -> None:
    check_texts(trace.metadata, "trace_metadata")
    check_texts(trace.tags, "tags")
    check_value(trace.request_preview, "request_preview")
    check_value(trace.response_preview, "response_preview")
    if trace.client_request_id:
        check_key(trace.client_request_id, "client_request_id")


def _check_home(trace: Trace, home: Experiment) -> None:
    if trace.experiment_id != home.id:
        raise ConflictError(f"trace {trace.id} belongs to experiment {trace.experiment_id}, not {home.id}")


def _summarise(trace: Trace, spans: Sequence[Span]) -> Trace:
    """A trace nobody told of, as far as its spans tell."""
    began = min(span.started_ns for span in spans)
    root = next((span for span in spans if not span.parent_id), None)
    if root is None:
        return structs.replace(trace, started_at=_to_moment(began), state=TraceState.IN_PROGRESS)
    has_ended = root.ended_ns > 0
    return structs.replace(
        trace,
        started_at=_to_moment(began),
        state=_STATES[root.status] if has_ended else TraceState.IN_PROGRESS,
        duration_ms=max(root.ended_ns - began, 0) // 1_000_000 if has_ended else None,
        request_preview=_preview(root.attributes.get("mlflow.spanInputs")),
        response_preview=_preview(root.attributes.get("mlflow.spanOutputs")),
        tags=trace.tags | {TRACE_NAME: root.name[:_PREVIEW]},
    )


def _preview(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else codec.encode_text(value)
    return text[:_PREVIEW].replace("\0", "\ufffd")


def _to_moment(nanoseconds: int) -> datetime:
    return from_microseconds(nanoseconds // 1000)
