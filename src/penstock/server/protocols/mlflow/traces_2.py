"""The operations on traces as clients before 3.0 know them: the server gives the id, and the spans are an artifact."""

from typing import Annotated

from msgspec import Meta, Struct, structs

from penstock.core.identity import Role
from penstock.core.ids import ExperimentId, new_hex_id
from penstock.server.protocols.mlflow.endpoint import API_2, Call, Endpoint
from penstock.server.protocols.mlflow.entities import from_ms, parse_experiment_id, to_ms
from penstock.server.protocols.mlflow.errors import invalid
from penstock.server.protocols.mlflow.traces import PAGE_DEFAULT, PAGE_LIMIT
from penstock.storage.transaction import Transaction
from penstock.tracking.traces.service import TraceService
from penstock.tracking.traces.types import Trace, TraceState

_STATES = {state.name: state for state in TraceState} | {"TRACE_STATUS_UNSPECIFIED": TraceState.UNSPECIFIED}
_Text = Annotated[str, Meta(min_length=1)]


class Pair(Struct):
    """A key with its text."""

    key: _Text
    value: str = ""


class Start(Struct):
    """Begins a trace."""

    experiment_id: _Text
    timestamp_ms: int
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class End(Struct):
    """Says how a trace went."""

    request_id: _Text
    timestamp_ms: int
    status: str = "TRACE_STATUS_UNSPECIFIED"
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class Which(Struct):
    """Which trace is meant."""

    request_id: _Text


class Search(Struct):
    """What to look for."""

    experiment_ids: Annotated[list[str], Meta(min_length=1)]
    filter: str = ""
    max_results: int = PAGE_DEFAULT
    order_by: list[str] = []
    page_token: str = ""


class Info(Struct, omit_defaults=True):
    """What is known of a trace without its spans."""

    request_id: str
    experiment_id: str
    timestamp_ms: int
    status: str
    execution_time_ms: int = 0
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class InfoAnswer(Struct):
    """One trace."""

    trace_info: Info


class InfosAnswer(Struct, omit_defaults=True):
    """A page of traces."""

    traces: list[Info] = []
    next_page_token: str = ""


async def start_trace(call: Call, request: Start) -> InfoAnswer:
    """Begin a trace; the answer says where the client puts its spans."""
    trace = Trace(
        id=f"tr-{new_hex_id()}",
        experiment_id=ExperimentId(parse_experiment_id(request.experiment_id)),
        state=TraceState.IN_PROGRESS,
        started_at=from_ms(request.timestamp_ms, "timestamp_ms"),
        metadata=_from_pairs(request.request_metadata),
        tags=_from_pairs(request.tags),
    )
    return InfoAnswer(_to_info(await call.write(call.services.traces.log_trace.join, trace)))


async def end_trace(call: Call, request: End) -> InfoAnswer:
    """Say how a trace went."""
    if request.status not in _STATES:
        raise invalid("status", request.status, f"use one of {', '.join(_STATES)}")
    return InfoAnswer(_to_info(await call.write(_end, call.services.traces, request)))


async def get_info(call: Call, request: Which) -> InfoAnswer:
    """A trace without its spans."""
    return InfoAnswer(_to_info(await call.read(call.services.traces.get_trace.join, request.request_id)))


async def search_traces(call: Call, request: Search) -> InfosAnswer:
    """Traces that fit."""
    if not request.max_results >= 0:
        raise invalid("max_results", request.max_results, "it has to be above 0")
    page = await call.read(
        call.services.traces.search_traces.join,
        [ExperimentId(parse_experiment_id(each, "experiment_ids")) for each in request.experiment_ids],
        filter=request.filter,
        order_by=request.order_by,
        limit=min(request.max_results or PAGE_DEFAULT, PAGE_LIMIT),
        after=request.page_token,
    )
    return InfosAnswer([_to_info(trace) for trace in page.traces], page.next)


def _end(tx: Transaction, service: TraceService, request: End) -> Trace:
    known = service.get_trace.join(tx, request.request_id)
    ended = structs.replace(
        known,
        state=_STATES[request.status],
        duration_ms=max(request.timestamp_ms - to_ms(known.started_at), 0),
        metadata=_from_pairs(request.request_metadata),
        tags=_from_pairs(request.tags),
    )
    return service.log_trace.join(tx, ended)


def _to_info(trace: Trace) -> Info:
    return Info(
        request_id=trace.id,
        experiment_id=str(trace.experiment_id),
        timestamp_ms=to_ms(trace.started_at),
        status="TRACE_STATUS_UNSPECIFIED" if trace.state is TraceState.UNSPECIFIED else trace.state.name,
        execution_time_ms=trace.duration_ms or 0,
        request_metadata=[Pair(key, value) for key, value in trace.metadata.items()],
        tags=[Pair(key, value) for key, value in trace.tags.items()],
    )


def _from_pairs(pairs: list[Pair]) -> dict[str, str]:
    return {pair.key: pair.value for pair in pairs}


ENDPOINTS = [
    Endpoint("POST", "traces", start_trace, Role.CONTRIBUTOR, Start, (API_2,)),
    Endpoint("GET", "traces", search_traces, Role.READER, Search, (API_2,)),
    Endpoint("GET", "traces/{request_id}/info", get_info, Role.READER, Which, (API_2,)),
    Endpoint("PATCH", "traces/{request_id}", end_trace, Role.CONTRIBUTOR, End, (API_2,)),
]
