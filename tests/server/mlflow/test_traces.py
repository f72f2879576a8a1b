"""Traces over MLflow's protocol and OpenTelemetry's."""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.mlflow.world import World, open_world
from server.otlp.messages import encode_request

HEX = "5b8efff798038103d269b633813fc60c"
TRACE_ID = f"tr-{HEX}"
V3 = "/api/3.0/mlflow/traces"
V2 = "traces"
LOCATION = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
SPANS: list[dict[str, Any]] = [
    {"span_id": "aaaaaaaaaaaaaaaa", "name": "add", "start": 1_000_000_000, "end": 1_500_000_000, "status": 1},
    {
        "span_id": "bbbbbbbbbbbbbbbb",
        "parent_id": "aaaaaaaaaaaaaaaa",
        "name": "inner",
        "start": 1_100_000_000,
        "end": 1_200_000_000,
        "attributes": {
            "n": 1,
            "x": 2.5,
            "t": "é",
            "b": True,
            "none": None,
            "list": [1, {"k": -2}],
            "nan": float("nan"),
        },
        "events": [("found", 1_150_000_000, {"k": "v"})],
        "links": [("c" * 32, "d" * 16)],
    },
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


def tell(world: World, trace_id: str = TRACE_ID, **more: Any) -> dict[str, Any]:
    info = {
        "trace_id": trace_id,
        "trace_location": LOCATION,
        "request_time": "2026-11-25T21:39:05.898Z",
        "execution_duration": "0.104s",
        "state": "OK",
        "trace_metadata": {"m": "1"},
        "tags": {"mlflow.traceName": "add", "fruit": "pear"},
        "request_preview": '{"x": 1}',
        "response_preview": "3",
    }
    body = {"trace": {"trace_info": info | more}}
    told: dict[str, Any] = world.get("POST", V3, body)["trace"]["trace_info"]
    return told


def export(world: World, body: bytes, **headers: str) -> httpx.Response:
    defaults = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}
    return world.client.post("/v1/traces", content=body, headers=defaults | headers)


def search(world: World, **given: Any) -> list[str]:
    found = world.get("POST", f"{V3}/search", {"locations": [LOCATION], **given})
    return [info["trace_id"] for info in found.get("traces", [])]


def test_a_trace_is_answered_as_it_was_told(world: World) -> None:
    told = tell(world)
    assert told == {
        "trace_id": TRACE_ID,
        "trace_location": LOCATION,
        "request_time": "2026-11-25T21:39:05.898Z",
        "execution_duration": "0.104s",
        "state": "OK",
        "trace_metadata": {"m": "1"},
        "tags": {
            "fruit": "pear",
            "mlflow.artifactLocation": f"mlflow-artifacts:/0/traces/{TRACE_ID}/artifacts",
            "mlflow.traceName": "add",
        },
        "request_preview": '{"x": 1}',
        "response_preview": "3",
    }
    assert world.get("GET", f"{V3}/{TRACE_ID}", trace_id=TRACE_ID) == {"trace": {"trace_info": told}}
    assert tell(world) == told


def test_spans_are_kept_and_answered_as_opentelemetry_writes_them(world: World) -> None:
    tell(world)
    answer = export(world, encode_request(HEX, SPANS))
    assert (answer.status_code, answer.content) == (200, b"")
    trace = world.get("GET", f"{V3}/get", trace_id=TRACE_ID, allow_partial="False")["trace"]
    assert trace["trace_info"]["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    root, inner = trace["spans"]
    request_id = {"key": "mlflow.traceRequestId", "value": {"string_value": TRACE_ID}}
    assert root == {
        "trace_id": "W47/95gDgQPSabYzgT/GDA==",
        "span_id": "qqqqqqqqqqo=",
        "name": "add",
        "start_time_unix_nano": 1_000_000_000,
        "end_time_unix_nano": 1_500_000_000,
        "attributes": [request_id],
        "status": {"code": "STATUS_CODE_OK"},
    }
    assert inner["parent_span_id"] == root["span_id"]
    nested = {"kvlist_value": {"values": [{"key": "k", "value": {"int_value": -2}}]}}
    assert inner["attributes"] == [
        request_id,
        {"key": "b", "value": {"bool_value": True}},
        {"key": "list", "value": {"array_value": {"values": [{"int_value": 1}, nested]}}},
        {"key": "n", "value": {"int_value": 1}},
        {"key": "nan", "value": {"string_value": "NaN"}},
        {"key": "none", "value": {}},
        {"key": "t", "value": {"string_value": "é"}},
        {"key": "x", "value": {"double_value": 2.5}},
    ]
    value = {"string_value": "v"}
    event = {"time_unix_nano": 1_150_000_000, "name": "found", "attributes": [{"key": "k", "value": value}]}
    assert inner["events"] == [event]
    assert len(inner["links"]) == 1
    assert world.get("GET", f"{V3}/batchGet", trace_ids=[TRACE_ID, "tr-none"]) == {"traces": [trace]}


def test_a_trace_that_only_its_spans_tell_of_is_summed_up(world: World) -> None:
    export(world, encode_request(HEX, SPANS[1:]))
    info = world.get("GET", f"{V3}/{TRACE_ID}")["trace"]["trace_info"]
    assert info["state"] == "IN_PROGRESS"
    export(world, encode_request(HEX, SPANS[:1]))
    info = world.get("GET", f"{V3}/{TRACE_ID}")["trace"]["trace_info"]
    assert (info["state"], info["execution_duration"], info["request_time"]) == (
        "OK",
        "0.500s",
        "1970-01-01T00:00:01.000Z",
    )
    assert info["tags"]["mlflow.traceName"] == "add"
    told = tell(world)
    assert told["request_time"] == "2026-11-25T21:39:05.898Z"
    assert told["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"


def test_spans_come_as_json_too_and_compressed(world: World) -> None:
    span = {
        "traceId": HEX,
        "spanId": "eee19b7ec3c1b174",
        "name": "x",
        "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": "15",
        "endTimeUnixNano": 16,
        "attributes": [{"key": "a", "value": {"intValue": "4"}}, {"key": "l", "value": {"arrayValue": {}}}],
        "status": {"code": "STATUS_CODE_ERROR", "message": "no"},
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    answer = export(world, body, **{"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {})
    (told,) = world.get("GET", f"{V3}/get", trace_id=TRACE_ID)["trace"]["spans"]
    assert told["kind"] == "SPAN_KIND_SERVER"
    assert told["status"] == {"code": "STATUS_CODE_ERROR", "message": "no"}
    assert {"key": "a", "value": {"int_value": 4}} in told["attributes"]
    packed = zlib.compressobj(wbits=-15)
    raw = packed.compress(encode_request(HEX, SPANS)) + packed.flush()
    for encoding, content in (
        ("gzip", gzip.compress(encode_request(HEX, SPANS))),
        ("deflate", zlib.compress(encode_request(HEX, SPANS))),
        ("deflate", raw),
    ):
        assert export(world, content, **{"content-encoding": encoding}).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"\x0a\xff\x01", {}, "ends in the middle"),
        (b"", {}, "no spans found"),
        (b"\x0f", {}, "unknown kind"),
        (encode_request("ab" * 15, SPANS), {}, "16 bytes"),
        (encode_request(HEX, SPANS), {"x-mlflow-experiment-id": ""}, "x-mlflow-experiment-id"),
        (encode_request(HEX, SPANS), {"x-mlflow-experiment-id": "a b"}, "x-mlflow-experiment-id"),
        (encode_request(HEX, SPANS), {"x-mlflow-experiment-id": "99"}, "No Experiment with id=99"),
        (encode_request(HEX, SPANS), {"content-type": "text/plain"}, "Invalid Content-Type"),
        (encode_request(HEX, SPANS), {"content-encoding": "gzip"}, "not in the encoding"),
        (encode_request(HEX, SPANS), {"content-encoding": "br"}, "is not read here"),
        (gzip.compress(bytes(40_000_000)), {"content-encoding": "gzip"}, "larger than"),
        (b"{", {"content-type": "application/json"}, "no request of OTLP"),
        (b'{"resourceSpans": 1}', {"content-type": "application/json"}, "no request of OTLP"),
        (b'{"resourceSpans":' + b"[" * 100_000, {"content-type": "application/json"}, "no request of OTLP"),
    ],
)
def test_spans_that_cannot_be_read_are_refused(
    untouched: World, body: bytes, headers: dict[str, str], expected: str
) -> None:
    answer = export(untouched, body, **headers)
    assert 400 <= answer.status_code < 500
    assert expected in answer.json()["message"]


def test_tags_are_set_and_forgotten(world: World) -> None:
    tell(world)
    assert world.get("PATCH", f"{V2}/{TRACE_ID}/tags", {"key": "color", "value": "red"}) == {}
    assert world.get("GET", f"{V3}/{TRACE_ID}")["trace"]["trace_info"]["tags"]["color"] == "red"
    assert world.get("DELETE", f"{V2}/{TRACE_ID}/tags", {"key": "color"}) == {}
    assert world.refuse("DELETE", f"{V2}/{TRACE_ID}/tags", {"key": "color"})[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three traces that stay."""
    with open_world(tmp_path_factory.mktemp("searched")) as world:
        tell_three(world)
        yield world


def tell_three(world: World) -> None:
    """Tell of a, the oldest, then b of a run, then c that failed."""
    tell(world, "tr-a", request_time="2026-01-01T00:00:00Z", execution_duration="2s", tags={"fruit": "fig"})
    tell(world, "tr-b", request_time="2026-01-02T00:00:00Z", trace_metadata={"mlflow.sourceRun": "r1", "m": "2"})
    tell(world, "tr-c", request_time="2026-01-03T00:00:00Z", state="ERROR", tags={"mlflow.traceName": "fail"})


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("", "cba"),
        ("attributes.status = 'ERROR'", "c"),
        ("trace.status IN ('OK', 'IN_PROGRESS')", "ba"),
        ("attribute.run_id = 'r1'", "b"),
        ("name = 'add'", "b"),
        ("tags.fruit = 'pear'", "b"),
        ("tag.fruit IS NOT NULL", "ba"),
        ("tags.fruit IS NULL", "c"),
        ("request_metadata.m = '2'", "b"),
        ("metadata.m LIKE '%1%' AND status = 'OK'", "a"),
        ("timestamp_ms > 1767225600000", "cb"),
        ("timestamp = 1767225600000", "a"),
        ("execution_time_ms >= 2000", "a"),
        ("execution_time < 2000", "cb"),
    ],
)
def test_filters_find_what_they_say(searched: World, filter_: str, names: str) -> None:
    assert search(searched, filter=filter_) == [f"tr-{name}" for name in names]


def test_orders_and_pages_hold(searched: World) -> None:
    assert search(searched, order_by=["timestamp_ms ASC"]) == ["tr-a", "tr-b", "tr-c"]
    assert search(searched, order_by=["execution_time DESC", "timestamp_ms"]) == ["tr-a", "tr-b", "tr-c"]
    body = {"locations": [LOCATION], "max_results": 2}
    first = searched.get("POST", f"{V3}/search", body)
    last = searched.get("POST", f"{V3}/search", body | {"page_token": first["next_page_token"]})
    assert [info["trace_id"] for info in last["traces"]] == ["tr-a"]
    assert "next_page_token" not in last


def test_traces_are_deleted_by_name_or_by_age(world: World) -> None:
    tell_three(world)
    export(world, encode_request(HEX, SPANS))
    path = f"{V2}/delete-traces"
    assert world.get("POST", path, {"experiment_id": "0", "request_ids": [TRACE_ID, "tr-none"]}) == {
        "traces_deleted": 1
    }
    assert world.refuse("GET", f"{V3}/{TRACE_ID}")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    older = {"experiment_id": "0", "max_timestamp_millis": 1767312000000}
    assert world.get("POST", path, older | {"max_traces": 1}) == {"traces_deleted": 1}
    assert search(world) == ["tr-c", "tr-b"]
    assert world.get("POST", path, older) == {"traces_deleted": 1}
    assert world.get("POST", path, older) == {}
    assert world.refuse("POST", path, {"experiment_id": "0"})[0] == 400
    assert world.get("POST", path, {"experiment_id": "0", "max_timestamp_millis": 2**62}) == {"traces_deleted": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"trace_id": ""}, "trace_id"),
        ({"trace_id": "t" * 65}, "up to 64 characters"),
        ({"request_time": "noon"}, "request_time"),
        ({"execution_duration": "long"}, "execution_duration"),
        ({"state": "FINE"}, "state"),
        ({"trace_location": {"type": "INFERENCE_TABLE"}}, "mlflow_experiment"),
        ({"tags": {"k" * 251: "v"}}, "cannot be used"),
    ],
)
def test_a_trace_that_cannot_be_kept_is_refused_by_name(
    untouched: World, change: dict[str, Any], expected: str
) -> None:
    info = {"trace_id": TRACE_ID, "trace_location": LOCATION, "request_time": "2026-11-25T21:39:05.898Z"} | change
    status, _, message = untouched.refuse("POST", V3, {"trace": {"trace_info": info}})
    assert status == 400
    assert expected in message


def test_a_trace_stays_in_its_experiment(world: World) -> None:
    other = world.services.experiments.create_experiment("other")
    tell(world)
    location = {"mlflow_experiment": {"experiment_id": str(other.id)}}
    info = {"trace_id": TRACE_ID, "trace_location": location, "request_time": "2026-11-25T21:39:05.898Z"}
    assert world.refuse("POST", V3, {"trace": {"trace_info": info}})[0] == 400
    answer = export(world, encode_request(HEX, SPANS), **{"x-mlflow-experiment-id": str(other.id)})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/2.0/mlflow/traces/x/spans"), ("PUT", "/api/2.0/mlflow/traces"), ("POST", f"{V3}/x/assessments")],
)
def test_what_is_not_spoken_here_is_told_so(untouched: World, method: str, path: str) -> None:
    assert untouched.refuse(method, path, {})[:2] == (404, "ENDPOINT_NOT_FOUND")


def test_a_client_before_3_begins_and_ends_a_trace(world: World) -> None:
    begun = {"experiment_id": "0", "timestamp_ms": 1_000, "request_metadata": [{"key": "m", "value": "1"}]}
    info = world.get("POST", V2, {**begun, "tags": [{"key": "t", "value": "1"}]})["trace_info"]
    assert (info["experiment_id"], info["timestamp_ms"], info["status"]) == ("0", 1_000, "IN_PROGRESS")
    assert {"key": "m", "value": "1"} in info["request_metadata"]
    place = next(tag["value"] for tag in info["tags"] if tag["key"] == "mlflow.artifactLocation")
    assert place == f"mlflow-artifacts:/0/traces/{info['request_id']}/artifacts"
    ended = {"request_id": info["request_id"], "timestamp_ms": 1_250, "status": "OK"}
    told = world.get("PATCH", f"{V2}/{info['request_id']}", {**ended, "tags": [{"key": "u", "value": "2"}]})[
        "trace_info"
    ]
    assert (told["status"], told["execution_time_ms"]) == ("OK", 250)
    assert {"t", "u"} <= {tag["key"] for tag in told["tags"]}
    assert world.get("GET", f"{V2}/{info['request_id']}/info")["trace_info"] == told
    found = world.get("GET", V2, experiment_ids=["0"], filter="status = 'OK'", max_results=1)
    assert found["traces"] == [told]
    assert world.refuse("PATCH", f"{V2}/none", {"timestamp_ms": 1})[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    refused = world.refuse("PATCH", f"{V2}/{info['request_id']}", {"timestamp_ms": 1, "status": "FINE"})
    assert refused[:2] == (400, "INVALID_PARAMETER_VALUE")
