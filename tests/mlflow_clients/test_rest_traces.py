"""Traces in the bare protocol: enough that no client breaks."""

import time
from typing import Any
from uuid import uuid4

import pytest
from rest import Api

V3 = "/api/3.0/mlflow/traces"


def start(api: Api, experiment: str, **fields: Any) -> str:
    """The id of a new trace."""
    trace = f"tr-{uuid4().hex}"
    info = {
        "trace_id": trace,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-01-02T03:04:05.678Z",
        "execution_duration": "1.5s",
        "state": "OK",
        **fields,
    }
    told = api.post(V3, trace={"trace_info": info})["trace"]["trace_info"]
    assert told["trace_id"] == trace
    return trace


def test_a_trace_is_kept(api: Api, experiment: str) -> None:
    trace = start(api, experiment, tags={"k": "v"}, trace_metadata={"m": "n"})
    told = api.get(f"{V3}/{trace}")["trace"]["trace_info"]
    assert told["state"] == "OK"
    assert told["request_time"].startswith("2026-01-02T03:04:05.678")
    assert told["execution_duration"] == "1.500s"
    assert told["tags"]["k"] == "v" and told["trace_metadata"]["m"] == "n"
    assert told["trace_location"]["mlflow_experiment"]["experiment_id"] == experiment


def test_a_trace_that_is_not_there(api: Api) -> None:
    api.refused("GET", f"{V3}/tr-nothing", "RESOURCE_DOES_NOT_EXIST", 404)


def test_tags_of_a_trace(api: Api, experiment: str) -> None:
    trace = start(api, experiment, tags={"kept": "1"})
    assert api.patch(f"/api/2.0/mlflow/traces/{trace}/tags", key="k", value="v") == {}
    told = api.get(f"{V3}/{trace}")["trace"]["trace_info"]["tags"]
    assert told["k"] == "v" and told["kept"] == "1"
    assert api.delete(f"/api/2.0/mlflow/traces/{trace}/tags", key="k") == {}
    assert "k" not in api.get(f"{V3}/{trace}")["trace"]["trace_info"]["tags"]


def test_traces_are_searched(api: Api, experiment: str) -> None:
    first = start(api, experiment, tags={"k": "a"})
    time.sleep(0.01)
    second = start(api, experiment, state="ERROR", request_time="2026-01-02T03:05:00Z", tags={"k": "b"})

    def find(**fields: Any) -> list[str]:
        locations = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}]
        told = api.post(f"{V3}/search", locations=locations, **fields).get("traces", [])
        return [trace["trace_id"] for trace in told]

    assert find() == [second, first]
    assert find(order_by=["timestamp_ms ASC"]) == [first, second]
    assert find(filter="tags.k = 'a'") == [first]
    assert find(filter="status = 'ERROR'") == [second]
    assert find(max_results=1) == [second]


def test_traces_are_deleted(api: Api, experiment: str) -> None:
    traces = [start(api, experiment) for _ in range(3)]
    url = "/api/2.0/mlflow/traces/delete-traces"
    assert api.post(url, experiment_id=experiment, request_ids=traces[:1]) == {"traces_deleted": 1}
    api.refused("GET", f"{V3}/{traces[0]}", "RESOURCE_DOES_NOT_EXIST", 404)
    assert api.post(url, experiment_id=experiment, max_timestamp_millis=10**15) == {"traces_deleted": 2}


@pytest.mark.parametrize(
    "path", ["/api/3.0/mlflow/nothing", "/api/3.0/mlflow/traces/tr-1/nothing", "/ajax-api/3.0/mlflow/nothing"]
)
def test_what_is_not_part_of_it_is_not_found(api: Api, path: str) -> None:
    assert api.send("GET", path).status_code in (404, 405)
