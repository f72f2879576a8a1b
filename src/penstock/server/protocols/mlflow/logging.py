"""Logging metrics, parameters and batches: the calls a training makes at every step, so decoded and written apart.

A body is decoded straight into its record, and the record joins those of all other callers in one transaction.
"""

import math
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.identity import Role
from penstock.core.ids import RunId
from penstock.server.bodies import read_body
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.entities import RUN_NAME
from penstock.server.protocols.mlflow.errors import invalid, missing
from penstock.server.protocols.mlflow.names import check_name
from penstock.server.protocols.mlflow.requests import check_json_type, parse_object, to_record
from penstock.tracking.facts import Facts
from penstock.tracking.inputs.types import DIGEST_LIMIT, NAME_LIMIT
from penstock.tracking.logged_models.points import ModelPoint
from penstock.tracking.names import check_key, check_value
from penstock.tracking.tables import Point, to_sortable

T = TypeVar("T", bound=Struct)
METRICS_LIMIT, TEXTS_LIMIT, ITEMS_LIMIT = 1_000, 100, 1_000  # of one batch
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


class LoggedPoint(Struct):
    """A metric point; a number that JSON has no form for comes as a text."""

    key: str = ""
    value: float | str | None = None
    timestamp: int | None = None
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class Text(Struct):
    """A parameter or tag."""

    key: str = ""
    value: str = ""


class LogMetric(LoggedPoint):
    """One metric point of a run."""

    run_id: str = ""
    run_uuid: str = ""


class LogParam(Text):
    """One parameter of a run."""

    run_id: str = ""
    run_uuid: str = ""


class LogBatch(Struct):
    """What is logged to a run at once."""

    run_id: str = ""
    metrics: list[LoggedPoint] = []
    params: list[Text] = []
    tags: list[Text] = []


_log_metric = msgspec.json.Decoder(LogMetric, strict=False)
_log_param = msgspec.json.Decoder(LogParam, strict=False)
_log_batch = msgspec.json.Decoder(LogBatch, strict=False)


async def log_metric(call: Call, _: None) -> None:
    """Log one point."""
    request = _decode(call, _log_metric, await read_body(call.receive))
    run_id = _run_id(request.run_id or request.run_uuid)
    facts = Facts(run_id, [_to_point(request, "")], may_be_late=True)
    if request.model_id:
        facts.model_points = [_to_model_point(run_id, facts.points[0], request)]
    await call.add(call.services.tracking.facts, facts)


async def log_param(call: Call, _: None) -> None:
    """Log one parameter."""
    request = _decode(call, _log_param, await read_body(call.receive))
    run_id = _run_id(request.run_id or request.run_uuid)
    facts = Facts(run_id, params=_to_texts([request], "", unique=True), may_be_late=True)
    await call.add(call.services.tracking.facts, facts)


async def log_batch(call: Call, _: None) -> None:
    """Log points, parameters and tags: all of them or none."""
    request = _decode(call, _log_batch, await read_body(call.receive))
    _check_limits(request)
    metrics = request.metrics
    points = _to_points(metrics)
    params = _to_texts(request.params, "params", unique=True)
    tags = _to_texts(request.tags, "tags", unique=False)
    facts = Facts(_run_id(request.run_id), points, params, tags, tags.pop(RUN_NAME, None), may_be_late=True)
    facts.model_points = [
        _to_model_point(facts.run_id, point, metric)
        for point, metric in zip(points, metrics, strict=True)
        if metric.model_id
    ]
    await call.add(call.services.tracking.facts, facts)


def _decode(call: Call, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    check_json_type(call.scope)
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return to_record(parse_object(body), decoder.type)  # says what is wrong with it, or finds that it is only nulls


def _to_points(metrics: Sequence[LoggedPoint]) -> list[Point]:
    points = []
    for number, metric in enumerate(metrics):
        try:
            points.append(_to_point(metric, ""))
        except InvalidInputError:
            _to_point(metric, f"metrics[{number}].")  # the same refusal, and where
    return points


def _to_point(metric: LoggedPoint, place: str) -> Point:
    key = metric.key
    if not key:
        raise missing(f"{place}key")
    check_name(key, place + "name")
    value, timestamp = metric.value, metric.timestamp
    if type(value) is not float:
        value = _to_number(value, place + "value")
    if timestamp is None:
        raise missing(f"{place}timestamp")
    if not 0 <= timestamp <= _LAST_MS:
        raise invalid(f"{place}timestamp", timestamp, "it must be the milliseconds since 1970, up to the year 9999")
    if not -(2**63) <= metric.step < 2**63:
        raise invalid(f"{place}step", metric.step, "it must fit in 64 bits")
    return key, metric.step, timestamp * 1_000, to_sortable(value)


def _to_model_point(run_id: RunId, point: Point, metric: LoggedPoint) -> ModelPoint:
    key, step, at, value = point
    for field, limit in (("dataset_name", NAME_LIMIT), ("dataset_digest", DIGEST_LIMIT)):
        check_value(getattr(metric, field), field)
        if len(getattr(metric, field)) > limit:
            raise invalid(field, getattr(metric, field), f"it exceeds the maximum length of {limit} characters")
    return ModelPoint(
        model_id=check_key(metric.model_id, "model_id"),
        run_id=run_id,
        key=key,
        step=step,
        at=at,
        value=value,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
    )


def _to_number(value: float | str | None, parameter: str) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    if value is None:
        raise missing(parameter)
    if value in _NON_FINITE:
        return _NON_FINITE[value]
    number = float(value) if _NUMBER.fullmatch(value) else math.nan
    if not math.isfinite(number):
        raise invalid(parameter, value, "please specify value as a valid double (64-bit floating point)")
    return number


def _to_texts(pairs: Sequence[Text], what: str, *, unique: bool) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, pair in enumerate(pairs):
        try:
            _check_text(pair, "")
        except InvalidInputError:
            _check_text(pair, f"{what}[{number}]." if what else "")  # the same refusal, and where
        if unique and pair.key in texts:
            raise InvalidInputError(
                f"Duplicate parameter keys have been submitted: {pair.key!r}", field=f"{what}[{number}].key"
            )
        texts[pair.key] = pair.value
    return texts


def _check_text(pair: Text, place: str) -> None:
    check_name(pair.key, place + "key")
    check_value(pair.value, place + "value")


def _check_limits(request: LogBatch) -> None:
    counts = {"metrics": len(request.metrics), "params": len(request.params), "tags": len(request.tags)}
    limits = {"metrics": METRICS_LIMIT, "params": TEXTS_LIMIT, "tags": TEXTS_LIMIT}
    for what, count in counts.items():
        if count > limits[what]:
            raise InvalidInputError(
                f"A batch logging request can contain at most {limits[what]} {what}. Got {count} {what}. "
                f"Please split up {what} across multiple requests and try again.",
                field=what,
            )
    if sum(counts.values()) > ITEMS_LIMIT:
        raise InvalidInputError(
            f"A batch logging request can contain at most {ITEMS_LIMIT} metrics, params, and tags in total. "
            f"Got {sum(counts.values())}. Please split up the batch and try again."
        )


def _run_id(text: str) -> RunId:
    if not text:
        raise missing("run_id")
    return RunId(text)


ENDPOINTS = [
    Endpoint("POST", "runs/log-metric", log_metric, Role.CONTRIBUTOR),
    Endpoint("POST", "runs/log-parameter", log_param, Role.CONTRIBUTOR),
    Endpoint("POST", "runs/log-batch", log_batch, Role.CONTRIBUTOR),
]
