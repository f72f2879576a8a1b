"""Histories of metrics: of one run in pages, of several runs at once, and thinned out for a chart."""

import base64
import binascii
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.core.ids import RunId
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import invalid, missing
from penstock.server.protocols.mlflow.runs import ById
from penstock.storage.transaction import Transaction
from penstock.tracking.histories import History, read_history, thin_out_alike
from penstock.tracking.store import to_wire
from penstock.tracking.types import NonFinite

Text = Annotated[str, Meta(min_length=1)]
PAGE_LIMIT = 25_000  # points
BULK_RUNS_LIMIT = 100
_Place = tuple[int, int, int]


class GetHistory(ById, kw_only=True):
    """A page of the history of a metric of a run."""

    metric_key: Text
    max_results: int | None = None
    page_token: str = ""


class GetBulk(Struct):
    """The history of a metric of several runs."""

    run_id: list[str] = []
    metric_key: str = ""
    max_results: int = PAGE_LIMIT


class GetInterval(Struct):
    """The history of a metric of several runs, thinned out."""

    run_ids: list[str] = []
    metric_key: str = ""
    start_step: int | None = None
    end_step: int | None = None
    max_results: int = 2_500


class WirePoint(Struct):
    """A point of a history."""

    key: str
    value: float | NonFinite
    timestamp: int
    step: int


class WireRunPoint(WirePoint):
    """A point of the history of one run among several."""

    run_id: str


class HistoryAnswer(Struct, omit_defaults=True):
    """Points, and where the next page begins."""

    metrics: list[WirePoint] = []
    next_page_token: str = ""


class BulkAnswer(Struct):
    """Points of several runs."""

    metrics: list[WireRunPoint]


async def get_history(call: Call, request: GetHistory) -> Response:
    """A page of the history of a metric, by time, step and value; without a size, all of it."""
    after = _read_token(request.page_token) if request.page_token else None
    limit = PAGE_LIMIT if request.max_results is None and after else request.max_results
    if limit is not None and limit < 1:
        raise invalid("max_results", limit, "it must be a positive integer")
    limit = None if limit is None else min(limit, PAGE_LIMIT)
    return await call.read(_history_page, call, request, limit, after)


def _history_page(
    tx: Transaction, call: Call, request: GetHistory, limit: int | None, after: _Place | None
) -> Response:
    call.services.tracking.check_run.join(tx, request.run)
    found = read_history(tx, request.run, request.metric_key, None if limit is None else limit + 1, after)
    answer = HistoryAnswer()
    answer.metrics = _to_points(found, request.metric_key, limit)
    if limit is not None and len(found) > limit:
        answer.next_page_token = _write_token(found.place(limit - 1))
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def get_bulk(call: Call, request: GetBulk) -> BulkAnswer:
    """The history of a metric of several runs, one run after the other."""
    if not request.run_id:
        raise InvalidInputError("GetMetricHistoryBulk request must specify at least one run_id.", field="run_id")
    if len(request.run_id) > BULK_RUNS_LIMIT:
        raise InvalidInputError(
            f"GetMetricHistoryBulk request cannot specify more than {BULK_RUNS_LIMIT} run_ids. "
            f"Received {len(request.run_id)} run_ids.",
            field="run_id",
        )
    if not request.metric_key:
        raise InvalidInputError("GetMetricHistoryBulk request must specify a metric_key.", field="metric_key")
    return await call.read(_bulk, request)


def _bulk(tx: Transaction, request: GetBulk) -> BulkAnswer:
    points: list[WireRunPoint] = []
    most = min(max(request.max_results, 1), PAGE_LIMIT)
    for run_id in sorted(request.run_id):
        found = read_history(tx, RunId(run_id), request.metric_key, most - len(points))
        points += _to_run_points(found, request.metric_key, run_id)
        if len(points) >= most:
            break
    return BulkAnswer(points)


async def get_interval(call: Call, request: GetInterval) -> BulkAnswer:
    """The history of a metric of several runs, with so few points that a chart can draw them."""
    if not request.run_ids:
        raise missing("run_ids")
    if len(request.run_ids) > BULK_RUNS_LIMIT:
        raise InvalidInputError(
            f"GetMetricHistoryBulkInterval request must specify at most {BULK_RUNS_LIMIT} run_ids. "
            f"Received {len(request.run_ids)} run_ids.",
            field="run_ids",
        )
    if not request.metric_key:
        raise missing("metric_key")
    if not 1 <= request.max_results <= 2_500:
        raise invalid("max_results", request.max_results, "max_results must be between 1 and 2500")
    if (request.start_step is None) != (request.end_step is None):
        raise InvalidInputError(
            "If either start step or end step are specified, both must be specified.", field="start_step"
        )
    if request.start_step is not None and request.end_step is not None and request.start_step > request.end_step:
        raise InvalidInputError(
            f"end_step must be greater than start_step. Found start_step={request.start_step} and "
            f"end_step={request.end_step}.",
            field="end_step",
        )
    return await call.read(_interval, request)


def _interval(tx: Transaction, request: GetInterval) -> BulkAnswer:
    found = {run_id: read_history(tx, RunId(run_id), request.metric_key) for run_id in request.run_ids}
    if request.start_step is not None and request.end_step is not None:
        found = {run_id: held.within_steps(request.start_step, request.end_step) for run_id, held in found.items()}
    points: list[WireRunPoint] = []
    for run_id, thinned in zip(found, thin_out_alike(list(found.values()), request.max_results), strict=True):
        points += _to_run_points(thinned, request.metric_key, run_id)
    return BulkAnswer(points)


def _to_points(found: History, key: str, limit: int | None) -> list[WirePoint]:
    rows = zip(
        found.values[:limit].tolist(), (found.at[:limit] // 1_000).tolist(), found.steps[:limit].tolist(), strict=True
    )
    return [WirePoint(key, to_wire(value), at, step) for value, at, step in rows]


def _to_run_points(found: History, key: str, run_id: str) -> list[WireRunPoint]:
    rows = zip(found.values.tolist(), (found.at // 1_000).tolist(), found.steps.tolist(), strict=True)
    return [WireRunPoint(key, to_wire(value), at, step, run_id) for value, at, step in rows]


def _write_token(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _read_token(token: str) -> _Place:
    try:
        place: _Place = msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=_Place)
    except (msgspec.MsgspecError, binascii.Error, UnicodeError, ValueError) as error:
        raise invalid("page_token", token, "it is none that this server gave out") from error
    if any(not -(2**63) <= number < 2**63 for number in place):
        raise invalid("page_token", token, "it is none that this server gave out")
    return place


ENDPOINTS = [
    Endpoint("GET", "metrics/get-history", get_history, Role.READER, GetHistory),
    Endpoint("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", get_bulk, Role.READER, GetBulk),
    Endpoint("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", get_interval, Role.READER, GetInterval),
]
