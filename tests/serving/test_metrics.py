"""What a gateway counts of itself, as Prometheus's own parser reads it."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from penstock.serving.metrics import Counts, Durations, GatewayMetrics, SharedCounts, add_counts, render
from serving.gateways import GatewayUnderTest

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
GOOD = [{"age": 20.0, "visits": 1}, {"age": 70.0, "visits": 2}]


def parse(page: str) -> Samples:
    """Every sample by its name and labels."""
    assert page.endswith("\n")
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    assert len(samples) == len({(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples})
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def scrape(gateway: GatewayUnderTest) -> Samples:
    answer = gateway.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(answer.text)


def count(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"penstock_gateway_{name}", tuple(sorted(labels.items()))), 0.0)


def test_what_was_answered_is_counted(gateway: GatewayUnderTest) -> None:
    assert gateway.post("/predict/churn", GOOD).status_code == 200
    assert gateway.post("/v1/models/churn:predict", {"instances": [[20, 1]]}).status_code == 200
    assert gateway.post("/predict/churn", [{"age": "x"}]).status_code == 422
    assert gateway.post("/predict/nothing", GOOD).status_code == 404
    assert gateway.client.get("/v2/models").status_code == 200  # asks for no prediction
    seen = scrape(gateway)
    assert count(seen, "requests_total", deployment="churn", code="200") == 2
    assert count(seen, "requests_total", deployment="churn", code="422") == 1
    assert count(seen, "requests_total", deployment="", code="404") == 1
    assert count(seen, "predictions_total", deployment="churn", revision="1", status="ok") == 3
    assert count(seen, "request_duration_seconds_count", deployment="churn") == 3
    assert count(seen, "request_duration_seconds_bucket", deployment="churn", le="+Inf") == 3
    assert 0 < count(seen, "request_duration_seconds_sum", deployment="churn") < 60
    assert count(seen, "requests_in_progress") == 0
    assert count(seen, "processes") == 1


def test_names_that_are_not_there_do_not_make_the_page_grow(gateway: GatewayUnderTest) -> None:
    for number in range(20):
        gateway.post(f'/predict/none"{number}\\', GOOD)
    seen = scrape(gateway)
    assert count(seen, "requests_total", deployment="", code="404") == 20
    assert len([key for key in seen if key[0] == "penstock_gateway_requests_total"]) == 1


def test_several_processes_are_one_gateway(tmp_path: Path) -> None:
    processes = [GatewayMetrics() for _ in range(3)]
    folders = [SharedCounts(tmp_path, f"gateway-{number}") for number in range(3)]
    for number, (metrics, folder) in enumerate(zip(processes, folders, strict=True)):
        for _ in range(number + 1):
            metrics.count_request('quo"te\\d', 200, 0.02)
        folder.write(metrics.read(1))
    seen = parse(render(add_counts([processes[0].read(1), *folders[0].read_others()]), tmp_path).decode())
    assert count(seen, "requests_total", deployment='quo"te\\d', code="200") == 6
    assert count(seen, "request_duration_seconds_bucket", deployment='quo"te\\d', le="0.025") == 6
    assert count(seen, "request_duration_seconds_bucket", deployment='quo"te\\d', le="0.01") == 0
    assert (count(seen, "processes"), count(seen, "requests_in_progress")) == (3, 3)


def test_what_another_process_left_damaged_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gateway-9.json").write_text('{"requests": ')
    assert SharedCounts(tmp_path, "gateway-1").read_others() == []


def test_nothing_and_nothing_is_nothing() -> None:
    assert add_counts([]) == Counts(processes=0)
    assert add_counts([Counts(durations={"a": Durations()})]).durations == {"a": Durations()}


def test_a_gateway_that_serves_a_model_is_ready_and_says_what_it_holds(gateway: GatewayUnderTest) -> None:
    answer = gateway.client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "problems": []})
    seen = scrape(gateway)
    assert count(seen, "waiting_segments") >= 0
    assert seen["process_resident_memory_bytes", ()] > 1e6
    assert seen["penstock_disk_free_bytes", ()] > 0
