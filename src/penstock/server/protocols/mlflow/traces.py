"""The operations on traces that a client needs to write and read them, and OpenTelemetry's own for spans."""

import json
import re
from base64 import b64encode
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.identity import Role
from penstock.core.ids import ExperimentId, RunId
from penstock.server.bodies import read_body
from penstock.server.protocols.mlflow.endpoint import API_2, API_3, Call, Endpoint
from penstock.server.protocols.mlflow.entities import LAST_MS, from_ms, parse_experiment_id
from penstock.server.protocols.mlflow.errors import invalid, missing
from penstock.server.protocols.otlp.json_form import read_json
from penstock.server.protocols.otlp.limits import BODY_LIMIT, unpack
from penstock.server.protocols.otlp.protobuf import read_protobuf
from penstock.storage.transaction import Transaction
from penstock.tracking.traces.service import TraceService
from penstock.tracking.traces.types import Span, SpanStatus, Trace, TraceState

PAGE_DEFAULT, PAGE_LIMIT = 100, 500
DELETE_LIMIT = 10_000
EXPERIMENT_HEADER = "x-mlflow-experiment-id"
REQUEST_ID = "mlflow.traceRequestId"  # the attribute by which clients know the trace of a span
_DURATION = re.compile(r"(-?\d{1,12})(?:\.(\d{1,9}))?s")
_STATES = {state.name: state for state in TraceState} | {"STATE_UNSPECIFIED": TraceState.UNSPECIFIED}
_CODES = {SpanStatus.UNSET: "STATUS_CODE_UNSET", SpanStatus.OK: "STATUS_CODE_OK", SpanStatus.ERROR: "STATUS_CODE_ERROR"}
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_Text = Annotated[str, Meta(min_length=1)]


class ExperimentPlace(Struct):
    """The experiment a trace belongs to."""

    experiment_id: _Text


class Location(Struct):
    """Where a trace belongs; here it is always an experiment."""

    mlflow_experiment: ExperimentPlace
    type: str = "MLFLOW_EXPERIMENT"


class TraceInfo(Struct, omit_defaults=True):
    """What is known of a trace without its spans."""

    trace_id: _Text
    trace_location: Location
    request_time: str
    execution_duration: str = ""
    state: str = "STATE_UNSPECIFIED"
    client_request_id: str = ""
    request_preview: str = ""
    response_preview: str = ""
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}


class ToldTrace(Struct):
    """A trace that a client tells of."""

    trace_info: TraceInfo


class StartTrace(Struct):
    """Tells of a trace."""

    trace: ToldTrace


class TraceName(Struct):
    """Which trace is meant."""

    trace_id: _Text


class TraceNames(Struct):
    """Which traces are meant."""

    trace_ids: Annotated[list[str], Meta(min_length=1)]


class SearchTraces(Struct):
    """What to look for."""

    locations: Annotated[list[Location], Meta(min_length=1)]
    filter: str = ""
    max_results: int = PAGE_DEFAULT
    order_by: list[str] = []
    page_token: str = ""


class TraceTag(Struct):
    """A tag to set or to forget."""

    trace_id: _Text
    key: _Text
    value: str = ""


class LinkTraces(Struct):
    """Traces that belong to a run."""

    run_id: _Text
    trace_ids: Annotated[list[str], Meta(min_length=1)]


class SpanFile(Struct):
    """Which trace's spans; older clients say `request_id`."""

    request_id: str = ""
    trace_id: str = ""


class DeleteTraces(Struct):
    """Which traces of an experiment to delete."""

    experiment_id: _Text
    max_timestamp_millis: int | None = None
    max_traces: int = DELETE_LIMIT
    request_ids: list[str] = []


class WholeTrace(Struct, omit_defaults=True):
    """A trace with its spans."""

    trace_info: TraceInfo
    spans: list[dict[str, Any]] = []


class TraceAnswer(Struct):
    """One trace."""

    trace: WholeTrace


class TracesAnswer(Struct, omit_defaults=True):
    """Several traces with their spans."""

    traces: list[WholeTrace] = []


class InfosAnswer(Struct, omit_defaults=True):
    """A page of traces without their spans."""

    traces: list[TraceInfo] = []
    next_page_token: str = ""


class DeletedAnswer(Struct, omit_defaults=True):
    """How many traces were deleted."""

    traces_deleted: int = 0


async def start_trace(call: Call, request: StartTrace) -> TraceAnswer:
    """Keep what a client tells of a trace."""
    trace = _from_info(request.trace.trace_info)
    return TraceAnswer(WholeTrace(_to_info(await call.write(call.services.traces.log_trace.join, trace))))


async def get_info(call: Call, request: TraceName) -> TraceAnswer:
    """A trace without its spans."""
    return TraceAnswer(WholeTrace(_to_info(await call.read(call.services.traces.get_trace.join, request.trace_id))))


async def get_trace(call: Call, request: TraceName) -> TraceAnswer:
    """A trace with its spans."""
    found = await call.read(_read_whole, call.services.traces, [request.trace_id])
    if not found:
        raise NotFoundError(f"Trace with ID '{request.trace_id[:200]}' not found")
    return TraceAnswer(found[0])


async def get_traces(call: Call, request: TraceNames) -> TracesAnswer:
    """Those of these traces that there are, with their spans."""
    return TracesAnswer(await call.read(_read_whole, call.services.traces, request.trace_ids))


async def search_traces(call: Call, request: SearchTraces) -> InfosAnswer:
    """Traces that fit, without their spans."""
    if not request.max_results >= 0:
        raise invalid("max_results", request.max_results, "it has to be above 0")
    page = await call.read(
        call.services.traces.search_traces.join,
        [
            ExperimentId(parse_experiment_id(each.mlflow_experiment.experiment_id, "locations"))
            for each in request.locations
        ],
        filter=request.filter,
        order_by=request.order_by,
        limit=min(request.max_results or PAGE_DEFAULT, PAGE_LIMIT),
        after=request.page_token,
    )
    return InfosAnswer([_to_info(trace) for trace in page.traces], page.next)


async def set_tag(call: Call, request: TraceTag) -> None:
    """Set a tag of a trace."""
    await call.write(call.services.traces.set_trace_tags.join, request.trace_id, {request.key: request.value})


async def delete_tag(call: Call, request: TraceTag) -> None:
    """Forget a tag of a trace."""
    await call.write(call.services.traces.remove_trace_tag.join, request.trace_id, request.key)


async def link_traces(call: Call, request: LinkTraces) -> None:
    """Say that traces belong to a run."""
    run_id = RunId(request.run_id)
    await call.read(call.services.tracking.check_run.join, run_id)
    await call.write(call.services.traces.link_traces.join, request.trace_ids, run_id)


async def download_spans(call: Call, request: SpanFile) -> Response:
    """The spans of a trace as the file that clients and pages read them from."""
    trace_id = request.request_id or request.trace_id
    if not trace_id:
        raise missing("request_id")
    spans = await call.read(call.services.traces.list_spans.join, trace_id)
    body = msgspec.json.encode({"spans": [_to_file(span) for span in spans]})
    headers = {"content-disposition": "attachment; filename=traces.json", "x-content-type-options": "nosniff"}
    return Response(body, media_type="text/plain", headers=headers)


async def delete_traces(call: Call, request: DeleteTraces) -> DeletedAnswer:
    """Delete traces of an experiment."""
    last = request.max_timestamp_millis
    until = None if last is None else from_ms(min(last, LAST_MS), "max_timestamp_millis")
    deleted = await call.write(
        call.services.traces.delete_traces.join,
        ExperimentId(parse_experiment_id(request.experiment_id)),
        trace_ids=request.request_ids or None,
        until=until,
        limit=request.max_traces,
    )
    return DeletedAnswer(deleted)


async def export_spans(call: Call, _: None) -> Response:
    """Keep spans that OpenTelemetry's exporters send."""
    headers = call.http.headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    read = {"application/x-protobuf": read_protobuf, "application/json": read_json}.get(kind)
    if read is None:
        raise InvalidInputError(
            f"Invalid Content-Type: {kind[:80]!r}", hint="send application/x-protobuf or application/json"
        )
    experiment = headers.get(EXPERIMENT_HEADER, "")
    if not experiment:
        raise missing(EXPERIMENT_HEADER)
    packed = await read_body(call.receive, BODY_LIMIT)
    body = await run_in_threadpool(unpack, packed, headers.get("content-encoding", "").lower())
    spans = await run_in_threadpool(read, body)
    if not spans:
        raise InvalidInputError("Invalid OpenTelemetry format - no spans found")
    await call.write(
        call.services.traces.log_spans.join, ExperimentId(parse_experiment_id(experiment, EXPERIMENT_HEADER)), spans
    )
    return Response(b"{}" if read is read_json else b"", media_type=kind)


def _read_whole(tx: Transaction, service: TraceService, ids: list[str]) -> list[WholeTrace]:
    found = service.find_traces.join(tx, ids)
    spans = service.spans_of(tx, found)
    return [WholeTrace(_to_info(trace), [_to_otlp(span) for span in spans[trace.id]]) for trace in found]


def _from_info(info: TraceInfo) -> Trace:
    if info.state not in _STATES:
        raise invalid("trace.trace_info.state", info.state, f"use one of {', '.join(_STATES)}")
    return Trace(
        id=info.trace_id,
        experiment_id=ExperimentId(parse_experiment_id(info.trace_location.mlflow_experiment.experiment_id)),
        state=_STATES[info.state],
        started_at=_read_time(info.request_time),
        duration_ms=_read_duration(info.execution_duration) if info.execution_duration else None,
        client_request_id=info.client_request_id,
        request_preview=info.request_preview,
        response_preview=info.response_preview,
        metadata=info.trace_metadata,
        tags=info.tags,
    )


def _to_info(trace: Trace) -> TraceInfo:
    return TraceInfo(
        trace_id=trace.id,
        trace_location=Location(ExperimentPlace(str(trace.experiment_id))),
        request_time=trace.started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        execution_duration="" if trace.duration_ms is None else _write_duration(trace.duration_ms),
        state="STATE_UNSPECIFIED" if trace.state is TraceState.UNSPECIFIED else trace.state.name,
        client_request_id=trace.client_request_id,
        request_preview=trace.request_preview,
        response_preview=trace.response_preview,
        trace_metadata=trace.metadata,
        tags=trace.tags,
    )


def _read_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid("trace.trace_info.request_time", text, "write it as 2026-01-31T12:00:00.123Z") from error


def _read_duration(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise invalid("trace.trace_info.execution_duration", text, "write it in seconds, as 1.250s")
    return int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0")[:3])


def _write_duration(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds}.{rest:03d}s" if rest else f"{seconds}s"


def _to_otlp(span: Span) -> dict[str, Any]:
    """A span in the JSON that clients turn into OpenTelemetry's message."""
    attributes = {REQUEST_ID: span.trace_id} | span.attributes
    told: dict[str, Any] = {
        "trace_id": _to_base64(span.trace_id.removeprefix("tr-")),
        "span_id": _to_base64(span.span_id),
        "name": span.name,
        "start_time_unix_nano": span.started_ns,
        "attributes": _to_key_values(attributes),
        "status": {"code": _CODES[span.status]} | ({"message": span.message} if span.message else {}),
    }
    if span.parent_id:
        told["parent_span_id"] = _to_base64(span.parent_id)
    if span.ended_ns:
        told["end_time_unix_nano"] = span.ended_ns
    if 0 < span.kind < len(_KINDS):
        told["kind"] = f"SPAN_KIND_{_KINDS[span.kind]}"
    if span.events:
        told["events"] = [
            {"time_unix_nano": event.at_ns, "name": event.name, "attributes": _to_key_values(event.attributes)}
            for event in span.events
        ]
    if span.links:
        told["links"] = [
            {
                "trace_id": _to_base64(link.trace_id),
                "span_id": _to_base64(link.span_id),
                "attributes": _to_key_values(link.attributes),
            }
            for link in span.links
        ]
    return told


def _to_file(span: Span) -> dict[str, Any]:
    """A span as clients keep it in a file: attributes are texts of JSON."""
    return {
        "trace_id": _to_base64(span.trace_id.removeprefix("tr-")),
        "span_id": _to_base64(span.span_id),
        "parent_span_id": _to_base64(span.parent_id) if span.parent_id else None,
        "name": span.name,
        "start_time_unix_nano": span.started_ns,
        "end_time_unix_nano": span.ended_ns or None,
        "events": [
            {"name": event.name, "time_unix_nano": event.at_ns, "attributes": event.attributes} for event in span.events
        ],
        "status": {"code": _CODES[span.status], "message": span.message},
        "attributes": {
            key: json.dumps(value, ensure_ascii=False)
            for key, value in ({REQUEST_ID: span.trace_id} | span.attributes).items()
        },
        "links": [
            {
                "trace_id": _to_base64(link.trace_id),
                "span_id": _to_base64(link.span_id),
                "attributes": link.attributes,
            }
            for link in span.links
        ],
    }


def _to_base64(digits: str) -> str:
    try:
        return b64encode(bytes.fromhex(digits)).decode()
    except ValueError:  # an id that another client made up
        return b64encode(digits.encode()).decode()


def _to_key_values(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _to_any(value)} for key, value in attributes.items()]


def _to_any(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case bool():
            return {"bool_value": value}
        case int():
            return {"int_value": value}
        case float():
            return {"double_value": value}
        case list():
            return {"array_value": {"values": [_to_any(item) for item in value]}}
        case dict():
            return {"kvlist_value": {"values": _to_key_values(value)}}
        case _:
            return {"string_value": str(value)}


_BOTH = (API_2, API_3)
ENDPOINTS = [
    Endpoint("POST", "/v1/traces", export_spans, Role.CONTRIBUTOR),
    Endpoint("POST", "traces", start_trace, Role.CONTRIBUTOR, StartTrace, (API_3,)),
    Endpoint("GET", "traces/get", get_trace, Role.READER, TraceName, (API_3,)),
    Endpoint("GET", "traces/batchGet", get_traces, Role.READER, TraceNames, (API_3,)),
    Endpoint("POST", "traces/search", search_traces, Role.READER, SearchTraces, (API_3,)),
    Endpoint("POST", "traces/delete-traces", delete_traces, Role.CONTRIBUTOR, DeleteTraces, _BOTH),
    Endpoint("POST", "traces/link-to-run", link_traces, Role.CONTRIBUTOR, LinkTraces, _BOTH),
    *(
        Endpoint("GET", f"/ajax-api/{version}/mlflow/get-trace-artifact", download_spans, Role.READER, SpanFile)
        for version in _BOTH
    ),
    Endpoint("GET", "traces/{trace_id}", get_info, Role.READER, TraceName, (API_3,)),
    Endpoint("PATCH", "traces/{trace_id}/tags", set_tag, Role.CONTRIBUTOR, TraceTag, _BOTH),
    Endpoint("DELETE", "traces/{trace_id}/tags", delete_tag, Role.CONTRIBUTOR, TraceTag, _BOTH),
]
