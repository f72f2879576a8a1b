"""Traces: functions that are traced give their answer, and what was seen is found again."""

from types import SimpleNamespace

import mlflow
import pytest
import requests
from mlflow import MlflowClient

IS_CLIENT_3 = int(mlflow.__version__.partition(".")[0]) >= 3


@mlflow.trace(name="add", attributes={"kind": "sum"})
def add(x: int, y: int) -> int:
    with mlflow.start_span("inner") as span:
        span.set_inputs({"x": x})
        span.set_outputs(x + y)
    return x + y


@pytest.mark.mlflow3
def test_a_traced_function_is_found_again(tracking: str) -> None:
    assert add(1, 2) == 3
    trace = mlflow.get_trace(mlflow.get_last_active_trace_id(), flush=True) if _can_flush() else _last()
    assert trace is not None
    assert str(trace.info.state) in ("OK", "TraceState.OK")
    assert trace.info.experiment_id == tracking
    assert {span.name for span in trace.data.spans} == {"add", "inner"}
    root = next(span for span in trace.data.spans if span.parent_id is None)
    assert root.inputs == {"x": 1, "y": 2} and root.outputs == 3 and root.attributes["kind"] == "sum"
    found = mlflow.search_traces(locations=[tracking], return_type="list")
    assert [held.info.trace_id for held in found] == [trace.info.trace_id]


def _can_flush() -> bool:
    return "flush" in mlflow.get_trace.__code__.co_varnames


def _last() -> "mlflow.entities.Trace | None":
    mlflow.flush_trace_async_logging()
    return mlflow.get_trace(mlflow.get_last_active_trace_id())


@pytest.mark.mlflow3
def test_traces_are_searched_tagged_and_deleted(tracking: str, client: MlflowClient) -> None:
    for i in range(3):
        add(i, i)
    mlflow.flush_trace_async_logging()
    traces = client.search_traces(locations=[tracking])
    assert len(traces) == 3
    first = traces[0].info.trace_id
    client.set_trace_tag(first, "k", "v")
    found = client.search_traces(locations=[tracking], filter_string="tags.k = 'v'")
    assert [held.info.trace_id for held in found] == [first]
    client.delete_trace_tag(first, "k")
    assert client.search_traces(locations=[tracking], filter_string="tags.k = 'v'") == []
    assert len(client.search_traces(locations=[tracking], filter_string="trace.text LIKE '%inne%'")) == 3
    assert client.search_traces(locations=[tracking], filter_string="trace.text LIKE '%nobody said this%'") == []
    page = client.search_traces(locations=[tracking], max_results=2)
    rest = client.search_traces(locations=[tracking], max_results=2, page_token=page.token)
    assert len(page) == 2 and len(rest) == 1 and not rest.token
    assert client.delete_traces(tracking, trace_ids=[first]) == 1
    assert len(client.search_traces(locations=[tracking])) == 2


@pytest.mark.mlflow3
def test_traces_belong_to_runs(tracking: str, client: MlflowClient) -> None:
    with mlflow.start_run() as run:
        add(1, 1)
    within = mlflow.get_last_active_trace_id()
    add(2, 2)
    linked = mlflow.get_last_active_trace_id()
    add(3, 3)
    mlflow.flush_trace_async_logging()
    client.link_traces_to_run([linked], run.info.run_id)
    filter = f"attributes.run_id = '{run.info.run_id}'"
    found = client.search_traces(locations=[tracking], filter_string=filter)
    assert {held.info.trace_id for held in found} == {within, linked}


@pytest.mark.mlflow3
def test_a_page_reads_a_trace(tracking: str, server_url: str) -> None:
    add(1, 2)
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_last_active_trace_id()
    url = f"{server_url}/ajax-api/3.0/mlflow/traces/get"
    told = requests.get(url, params={"trace_id": trace}, timeout=300).json()["trace"]
    assert told["trace_info"]["trace_id"] == trace
    assert {span["name"] for span in told["spans"]} == {"add", "inner"}
    url = f"{server_url}/ajax-api/2.0/mlflow/get-trace-artifact"
    answer = requests.get(url, params={"request_id": trace}, timeout=300)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == "attachment; filename=traces.json"
    assert {span["name"] for span in answer.json()["spans"]} == {"add", "inner"}


@pytest.mark.mlflow3
def test_an_error_is_seen(tracking: str) -> None:
    @mlflow.trace
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError):
        fail()
    mlflow.flush_trace_async_logging()
    found = mlflow.search_traces(locations=[tracking], filter_string="status = 'ERROR'", return_type="list")
    assert len(found) == 1


@pytest.mark.skipif(IS_CLIENT_3, reason="a client of MLflow 3 does otherwise")
def test_a_client_before_3_finds_its_traces_again(
    tracking: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The OpenTelemetry of its environment is newer, and asks its processor for what it does not have.
    for name, value in (("_shutdown", False), ("_metrics", SimpleNamespace(finish_items=lambda count: None))):
        monkeypatch.setattr(f"mlflow.tracing.processor.mlflow.MlflowSpanProcessor.{name}", value, raising=False)
    assert add(1, 2) == 3
    trace = mlflow.get_last_active_trace()
    assert trace is not None and trace.info.experiment_id == tracking
    told = client.get_trace(trace.info.request_id)
    assert {span.name for span in told.data.spans} == {"add", "inner"}
    assert told.info.status == "OK" and told.info.timestamp_ms == trace.info.timestamp_ms
    client.set_trace_tag(trace.info.request_id, "k", "v")
    found = client.search_traces([tracking], filter_string="tags.k = 'v'")
    assert [held.info.request_id for held in found] == [trace.info.request_id]
    assert len(mlflow.search_traces([tracking])) == 1
    assert client.delete_traces(tracking, request_ids=[trace.info.request_id]) == 1
    assert client.search_traces([tracking]) == []


def test_a_traced_function_gives_its_answer_and_a_run_is_untouched(tracking: str) -> None:
    with mlflow.start_run() as run:
        assert add(1, 2) == 3
        mlflow.log_metric("m", 1)
    assert mlflow.get_run(run.info.run_id).data.metrics == {"m": 1}
