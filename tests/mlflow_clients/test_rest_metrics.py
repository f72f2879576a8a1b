"""Metrics in the bare protocol: points, the latest of them, and their history."""

from typing import Any

import pytest
from rest import Api

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
INTERVAL = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"


def log(api: Api, run: str, key: str, *points: tuple[int, int, Any]) -> None:
    """Log points of (step, timestamp, value)."""
    for step, timestamp, value in points:
        api.post("runs/log-metric", run_id=run, key=key, value=value, timestamp=timestamp, step=step)


def history(api: Api, run: str, key: str, **query: Any) -> list[tuple[int, int, Any]]:
    told = api.get("metrics/get-history", run_id=run, metric_key=key, **query).get("metrics", [])
    return [(point["step"], point["timestamp"], point["value"]) for point in told]


def latest(api: Api, run: str) -> dict[str, dict[str, Any]]:
    told = api.get("runs/get", run_id=run)["run"]["data"].get("metrics", [])
    return {metric["key"]: metric for metric in told}


def test_a_point_is_told_whole(api: Api, run: str) -> None:
    log(api, run, "m", (2, 789, 123.456))
    point = {"key": "m", "value": 123.456, "timestamp": 789, "step": 2}
    assert latest(api, run) == {"m": point}
    assert api.get("metrics/get-history", run_id=run, metric_key="m") == {"metrics": [point]}


def test_the_step_is_zero_unless_given(api: Api, run: str) -> None:
    api.post("runs/log-metric", run_id=run, key="m", value=1, timestamp=5)
    assert history(api, run, "m") == [(0, 5, 1.0)]


def test_numbers_may_come_as_text(api: Api, run: str) -> None:
    api.post("runs/log-metric", run_id=run, key="m", value="1.5", timestamp="123", step="2")
    assert history(api, run, "m") == [(2, 123, 1.5)]


@pytest.mark.parametrize("step", [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_steps_are_whole_numbers_of_64_bits(api: Api, run: str, step: int) -> None:
    log(api, run, "m", (step, 1, 1.0))
    assert history(api, run, "m") == [(step, 1, 1.0)]


@pytest.mark.parametrize("timestamp", [0, 1, 2**31, 1_795_640_000_123, 253_402_300_799_999])
def test_times_are_milliseconds_up_to_the_year_9999(api: Api, run: str, timestamp: int) -> None:
    log(api, run, "m", (0, timestamp, 1.0))
    assert history(api, run, "m") == [(0, timestamp, 1.0)]


def test_a_time_before_1970_is_refused(api: Api, run: str) -> None:
    fields = {"run_id": run, "key": "m", "value": 1, "timestamp": -5}
    words = "Invalid value -5 for parameter 'timestamp' supplied"
    api.refused("POST", "runs/log-metric", "INVALID_PARAMETER_VALUE", 400, words, json=fields)


@pytest.mark.parametrize("value", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -1e-7, 123456789012345680.0])
def test_values_come_back_bit_for_bit(api: Api, run: str, value: float) -> None:
    log(api, run, "m", (0, 1, value))
    assert history(api, run, "m") == [(0, 1, value)]


def test_values_beyond_all_numbers_are_words(api: Api, run: str) -> None:
    log(api, run, "nan", (0, 1, "NaN"))
    log(api, run, "up", (0, 1, "Infinity"))
    log(api, run, "down", (0, 1, "-Infinity"))
    told = latest(api, run)
    assert told["nan"]["value"] == "NaN"
    assert float(told["up"]["value"]) >= 1.7976931348623157e308
    assert float(told["down"]["value"]) <= -1.7976931348623157e308
    assert history(api, run, "nan") == [(0, 1, "NaN")]


def test_the_latest_has_the_greatest_step_then_time_then_value(api: Api, run: str) -> None:
    log(api, run, "step", (5, 1, 1.0), (3, 9, 9.0))
    log(api, run, "time", (5, 9, 1.0), (5, 8, 9.0))
    log(api, run, "value", (5, 9, 2.0), (5, 9, 1.0))
    log(api, run, "last", (0, 1, 1.0), (0, 2, 0.5))
    told = latest(api, run)
    assert {key: metric["value"] for key, metric in told.items()} == {
        "step": 1.0,
        "time": 1.0,
        "value": 2.0,
        "last": 0.5,
    }
    assert told["step"] == {"key": "step", "value": 1.0, "timestamp": 1, "step": 5}


def test_the_latest_of_a_batch_is_chosen_alike(api: Api, run: str) -> None:
    points = [
        {"key": "m", "value": value, "timestamp": at, "step": step}
        for step, at, value in [(1, 1, 1.0), (3, 1, 3.0), (2, 1, 2.0), (3, 1, 2.5)]
    ]
    api.post("runs/log-batch", run_id=run, metrics=points)
    assert latest(api, run)["m"]["value"] == 3.0


def test_history_has_every_point_in_order_of_time_step_value(api: Api, run: str) -> None:
    log(api, run, "m", (3, 2, 12.0), (3, 1, 12.0), (2, 1, 10.0), (3, 1, 11.0), (-1, 1, 0.0))
    assert history(api, run, "m") == [(-1, 1, 0.0), (2, 1, 10.0), (3, 1, 11.0), (3, 1, 12.0), (3, 2, 12.0)]


def test_the_same_point_counts_once(api: Api, run: str) -> None:
    log(api, run, "m", (1, 1, 1.0), (1, 1, 1.0))
    batch = [{"key": "m", "value": 1.0, "timestamp": 1, "step": 1}] * 3
    api.post("runs/log-batch", run_id=run, metrics=batch)
    assert history(api, run, "m") == [(1, 1, 1.0)]


def test_a_batch_that_is_sent_again_counts_once(api: Api, run: str) -> None:
    batch = [{"key": "m", "value": float(i), "timestamp": i, "step": i} for i in range(50)]
    for _ in range(2):
        api.post("runs/log-batch", run_id=run, metrics=[*batch, {"key": "n", "value": "NaN", "timestamp": 1}])
    assert len(history(api, run, "m")) == 50
    assert len(history(api, run, "n")) == 1


def test_a_metric_that_is_not_there_has_no_history(api: Api, run: str) -> None:
    assert api.get("metrics/get-history", run_id=run, metric_key="nothing") == {}


def test_history_comes_in_pages(api: Api, run: str) -> None:
    log(api, run, "m", *[(i, 1000 + i, float(i)) for i in range(10)])
    query: dict[str, Any] = {"run_id": run, "metric_key": "m", "max_results": 4}
    pages = []
    while True:
        page = api.get("/ajax-api/2.0/mlflow/metrics/get-history", **query)
        pages.append([point["step"] for point in page["metrics"]])
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]
    assert pages == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_history_that_fits_on_a_page_has_no_next(api: Api, run: str) -> None:
    log(api, run, "m", *[(i, i, float(i)) for i in range(4)])
    page = api.get("metrics/get-history", run_id=run, metric_key="m", max_results=4)
    assert len(page["metrics"]) == 4 and "next_page_token" not in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"metric_key": ""}, "Missing value for required parameter 'metric_key'"),
        ({"page_token": "never given out"}, ""),
        ({"max_results": 0}, "max_results"),
        ({"max_results": -1}, "max_results"),
    ],
)
def test_history_refuses_what_it_cannot_read(api: Api, run: str, query: dict[str, Any], words: str) -> None:
    params = {"run_id": run, "metric_key": "m", **query}
    api.refused("GET", "metrics/get-history", "INVALID_PARAMETER_VALUE", 400, words, params=params)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"run_id": 31}, "Invalid value 31 for parameter 'run_id' supplied"),
        ({"key": 31}, "Invalid value 31 for parameter 'key' supplied"),
        ({"step": "foo"}, "Invalid value \"foo\" for parameter 'step' supplied"),
        ({"timestamp": "foo"}, "Invalid value \"foo\" for parameter 'timestamp' supplied"),
        ({"value": "foo"}, "Invalid value \"foo\" for parameter 'value' supplied"),
        ({"run_id": None}, "Missing value for required parameter 'run_id'"),
        ({"key": None}, "Missing value for required parameter 'key'"),
        ({"value": None}, "Missing value for required parameter 'value'"),
        ({"timestamp": None}, "Missing value for required parameter 'timestamp'"),
    ],
)
def test_a_bad_point_names_the_parameter_and_the_value(api: Api, run: str, fields: dict[str, Any], words: str) -> None:
    given = {"run_id": run, "key": "m", "value": 41, "timestamp": 59, "step": 26, **fields}
    api.refused("POST", "runs/log-metric", "INVALID_PARAMETER_VALUE", 400, words, json=given)
    assert latest(api, run) == {}


def test_histories_of_several_runs_come_together(api: Api, experiment: str) -> None:
    runs = [api.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"] for _ in range(3)]
    points = [(2, 1, 10.0), (3, 1, 11.0), (3, 1, 12.0), (3, 2, 12.0)]
    for i, run in enumerate(runs[:2]):
        log(api, run, "m", *[(step, at, value + i) for step, at, value in points])
    told = api.get(BULK, run_id=runs, metric_key="m")["metrics"]
    assert told == [
        {"key": "m", "value": value + i, "timestamp": at, "step": step, "run_id": run}
        for run, i in sorted((run, i) for i, run in enumerate(runs[:2]))
        for step, at, value in points
    ]
    told = api.get(BULK, run_id=[runs[0]], metric_key="m", max_results=2)["metrics"]
    assert [point["value"] for point in told] == [10.0, 11.0]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"metric_key": "key"}, "GetMetricHistoryBulk request must specify at least one run_id"),
        (
            {"run_id": [f"id_{i}" for i in range(101)], "metric_key": "key"},
            "GetMetricHistoryBulk request cannot specify more than",
        ),
        ({"run_id": ["123"]}, "GetMetricHistoryBulk request must specify a metric_key"),
    ],
)
def test_histories_refuse_what_they_cannot_read(api: Api, query: dict[str, Any], words: str) -> None:
    api.refused("GET", BULK, "INVALID_PARAMETER_VALUE", 400, words, params=query)


def test_a_history_is_thinned_out_evenly_with_both_ends(api: Api, run: str) -> None:
    def steps(**query: Any) -> list[int]:
        told = api.get(INTERVAL, run_ids=[run], metric_key="m", **query)["metrics"]
        return [point["step"] for point in told]

    log(api, run, "m", *[(i, 1, 10.0) for i in range(20)])
    assert steps() == list(range(20))
    assert steps(max_results=20) == list(range(20))
    assert steps(start_step=3, end_step=7) == [3, 4, 5, 6, 7]
    thinned = steps(max_results=5)
    assert thinned[0] == 0 and thinned[-1] == 19 and 5 <= len(thinned) <= 7
    point = api.get(INTERVAL, run_ids=[run], metric_key="m", max_results=5)["metrics"][0]
    assert point == {"key": "m", "value": 10.0, "timestamp": 1, "step": 0, "run_id": run}


def test_thinned_histories_of_several_runs_come_run_by_run(api: Api, experiment: str) -> None:
    runs = [api.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"] for _ in range(2)]
    for run in runs:
        log(api, run, "m", *[(i, 1, 10.0) for i in range(4)])
    told = api.get(INTERVAL, run_ids=runs, metric_key="m")["metrics"]
    assert [(point["run_id"], point["step"]) for point in told] == [(run, i) for run in runs for i in range(4)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"metric_key": "key"}, "Missing value for required parameter 'run_ids'."),
        (
            {"run_ids": [f"id_{i}" for i in range(101)], "metric_key": "key"},
            "GetMetricHistoryBulkInterval request must specify at most 100 run_ids.",
        ),
        ({"run_ids": ["1"], "metric_key": "key", "max_results": 0}, "max_results must be between 1 and 2500"),
        ({"run_ids": ["1"], "metric_key": "key", "max_results": 2501}, "max_results must be between 1 and 2500"),
        ({"run_ids": ["1"], "metric_key": ""}, "Missing value for required parameter 'metric_key'"),
        ({"run_ids": ["1"]}, "Missing value for required parameter 'metric_key'"),
        (
            {"run_ids": ["1"], "metric_key": "key", "start_step": 1, "end_step": 0},
            "end_step must be greater than start_step. ",
        ),
        (
            {"run_ids": ["1"], "metric_key": "key", "start_step": 1},
            "If either start step or end step are specified, both must be specified.",
        ),
    ],
)
def test_thinned_histories_refuse_what_they_cannot_read(api: Api, query: dict[str, Any], words: str) -> None:
    api.refused("GET", INTERVAL, "INVALID_PARAMETER_VALUE", 400, words, params=query)
