"""The verbs of traces on a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import InvalidInputError
from penstock.core.events import Entry
from penstock.core.ids import ExperimentId
from penstock.storage.database import Database
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.traces.service import TraceService
from penstock.tracking.traces.types import Span, SpanStatus, Trace, TraceState
from tracking.plans import find_scans, watch

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(tmp_path, ManualClock())
    yield db
    db.close()


@pytest.fixture
def traces(db: Database) -> TraceService:
    return TraceService(db)


@pytest.fixture
def home(db: Database) -> ExperimentId:
    return ExperimentService(db).create_experiment("chat").id


def span(trace_id: str = "tr-1", span_id: str = "a" * 16, **more: object) -> Span:
    return Span(**({"trace_id": trace_id, "span_id": span_id, "name": "s", "started_ns": 5_000_000_000} | more))


def test_a_span_that_is_sent_again_takes_the_place_of_the_first(traces: TraceService, home: ExperimentId) -> None:
    traces.log_spans(home, [span()])
    assert traces.get_trace("tr-1").state is TraceState.IN_PROGRESS
    traces.log_spans(
        home, [span(ended_ns=7_000_000_000, status=SpanStatus.ERROR, attributes={"mlflow.spanInputs": [1]})]
    )
    assert len(traces.list_spans("tr-1")) == 1
    trace = traces.get_trace("tr-1")
    assert (trace.state, trace.duration_ms, trace.request_preview) == (TraceState.ERROR, 2000, "[1]")


def test_spans_of_several_traces_come_together(traces: TraceService, home: ExperimentId) -> None:
    traces.log_spans(home, [span("tr-1"), span("tr-2"), span("tr-1", "b" * 16, parent_id="a" * 16)])
    assert [len(traces.list_spans(trace_id)) for trace_id in ("tr-1", "tr-2")] == [2, 1]


def test_the_newest_traces_are_listed_first(traces: TraceService, home: ExperimentId) -> None:
    for number in (2, 1, 3):
        traces.log_trace(Trace(id=f"tr-{number}", experiment_id=home, started_at=MOMENT.replace(hour=number)))
    traces.log_trace(Trace(id="tr-4", experiment_id=home, started_at=MOMENT.replace(hour=3)))
    assert [trace.id for trace in traces.list_traces(home, limit=2)] == ["tr-4", "tr-3"]
    assert [trace.id for trace in traces.list_traces(home, after="tr-3")] == ["tr-2", "tr-1"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("LIKE '%refund%'", ["tr-1", "tr-2"]),
        ("LIKE '%Refund%'", []),
        ("ILIKE '%REFUND%'", ["tr-1", "tr-2"]),
        ("LIKE '%café au lait%'", ["tr-3"]),
        ("LIKE '%out of stock%'", ["tr-2"]),
        ("LIKE '%nothing%'", []),
    ],
)
def test_traces_are_found_by_what_any_of_their_spans_says(
    traces: TraceService, home: ExperimentId, pattern: str, names: list[str]
) -> None:
    inner = span("tr-1", "b" * 16, parent_id="a" * 16, attributes={"question": "a refund, please"})
    failed = span("tr-2", name="refund", status=SpanStatus.ERROR, message="out of stock")
    traces.log_spans(home, [span("tr-1"), inner, failed, span("tr-3", attributes={"order": ["café au lait"]})])
    traces.log_trace(Trace(id="tr-4", experiment_id=home, started_at=MOMENT))
    found = traces.search_traces([home], f"trace.text {pattern}")
    assert sorted(trace.id for trace in found.traces) == names


def test_deleting_traces_is_audited(traces: TraceService, home: ExperimentId, entries: list[Entry]) -> None:
    traces.log_spans(home, [span()])
    assert traces.delete_traces(home, trace_ids=["tr-1"]) == 1
    assert [(entry.action, entry.detail["count"]) for entry in entries[-1:]] == [("traces.delete_traces", 1)]
    assert traces.list_traces(home) == []


@pytest.mark.parametrize("change", [{"span_id": "x"}, {"parent_id": "A" * 16}, {"trace_id": "t" * 65}])
def test_a_span_whose_ids_cannot_be_kept_is_refused(
    traces: TraceService, home: ExperimentId, change: dict[str, str]
) -> None:
    with pytest.raises(InvalidInputError, match=r"spans\[0\]"):
        traces.log_spans(home, [span(**change)])


@pytest.mark.parametrize(
    "filter_",
    [
        "",
        "name = 'a'",
        "tags.x = 'y' AND status = 'OK'",
        "metadata.x IS NULL",
        "run_id = 'r'",
        "timestamp_ms > 5",
        "trace.text LIKE '%a%'",
    ],
)
def test_no_search_reads_a_whole_table(db: Database, traces: TraceService, home: ExperimentId, filter_: str) -> None:
    traces.log_spans(home, [span()])
    with watch(db) as queries:
        traces.search_traces([home], filter_)
        traces.list_traces(home)
        traces.list_traces(home, after="tr-1")
        traces.find_traces(["tr-1"])
        traces.list_spans("tr-1")
    assert find_scans(db, queries) == []
