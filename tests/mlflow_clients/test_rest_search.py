"""The search of runs in the bare protocol: filters, orders and pages."""

from typing import Any

import pytest
from rest import Api


def search(api: Api, experiment: str, filter: str = "", **fields: Any) -> list[str]:
    """The names of the runs that a search finds, in its order."""
    found = api.post("runs/search", experiment_ids=[experiment], filter=filter, **fields)
    return [run["info"]["run_name"] for run in found.get("runs", [])]


@pytest.fixture
def zoo(api: Api, experiment: str) -> str:
    """An experiment with four runs, a to d, the oldest first; d has no data."""
    given: dict[str, dict[str, Any]] = {
        "a": {
            "metrics": {"acc": 0.5, "big loss": 3},
            "params": {"lr": "0.1", "opt": "sgd"},
            "tags": {"team.x": "Risk"},
        },
        "b": {"metrics": {"acc": 0.9}, "params": {"lr": "0.01", "opt": "adam"}, "tags": {"team.x": "risk"}},
        "c": {"metrics": {"acc": "NaN"}, "params": {"lr": "10"}, "tags": {"team.x": "R_%"}},
        "d": {},
    }
    for at, (name, data) in enumerate(given.items(), start=1):
        run = api.post("runs/create", experiment_id=experiment, run_name=name, start_time=at * 1000, user_id="u")
        fields = {
            "metrics": [{"key": k, "value": v, "timestamp": 1} for k, v in data.get("metrics", {}).items()],
            "params": [{"key": k, "value": v} for k, v in data.get("params", {}).items()],
            "tags": [{"key": k, "value": v} for k, v in data.get("tags", {}).items()],
        }
        api.post("runs/log-batch", fields, run_id=run["run"]["info"]["run_id"])
        if name in "ab":
            api.post("runs/update", run_id=run["run"]["info"]["run_id"], status="FINISHED", end_time=at * 10_000)
    return experiment


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("", "dcba"),
        ("metrics.acc > 0.5", "b"),
        ("metrics.acc >= 0.5", "ba"),
        ("metrics.acc < 0.9", "a"),
        ("metrics.acc <= 0.9", "ba"),
        ("metrics.acc = 0.9", "b"),
        ("metric.acc != 0.9", "ca"),
        ("metrics.acc > -1", "ba"),
        ("metrics.acc > 5e-1", "b"),
        ("metrics.`big loss` = 3", "a"),
        ('metrics."big loss" = 3', "a"),
        ("metrics.nothing > 0", ""),
        ("params.lr = '0.1'", "a"),
        ('params.lr = "0.1"', "a"),
        ("param.lr != '0.1'", "cb"),
        ("parameters.opt LIKE '%a%'", "b"),
        ("params.opt LIKE 'ADAM'", ""),
        ("params.opt ILIKE 'ADAM'", "b"),
        ("params.opt LIKE 'a_am'", "b"),
        ("tags.`team.x` = 'risk'", "b"),
        ("tag.`team.x` != 'risk'", "ca"),
        ("tags.team.x = 'Risk'", "a"),
        ("tags.`team.x` ILIKE 'RISK'", "ba"),
        ("tags.`team.x` LIKE 'R%'", "ca"),
        ("attributes.status = 'FINISHED'", "ba"),
        ("attribute.status != 'FINISHED'", "dc"),
        ("status = 'RUNNING'", "dc"),
        ("attr.status = 'RUNNING'", "dc"),
        ("run.status = 'RUNNING'", "dc"),
        ("attributes.status = 'finished'", ""),
        ("start_time > 2000", "dc"),
        ("attributes.start_time <= 2000", "ba"),
        ("end_time >= 20000", "b"),
        ("run_name = 'c'", "c"),
        ("attributes.run_name LIKE '%b%'", "b"),
        ("attributes.`run name` = 'c'", "c"),
        ("attributes.user_id = 'u'", "dcba"),
        ("params.lr LIKE '0%' AND metrics.acc > 0.6", "b"),
        ("params.lr LIKE '0%' and metrics.acc > 0.6 AND status = 'FINISHED'", "b"),
        ("params.opt IS NULL", "dc"),
        ("params.opt IS NOT NULL", "ba"),
        ("tags.`team.x` IS NULL", "d"),
        ("params.lr = 'it''s'", ""),
    ],
)
def test_filters(api: Api, zoo: str, filter: str, found: str) -> None:
    assert "".join(search(api, zoo, filter)) == found


def test_runs_are_found_by_id(api: Api, zoo: str) -> None:
    found = api.post("runs/search", experiment_ids=[zoo])["runs"]
    ids = {run["info"]["run_name"]: run["info"]["run_id"] for run in found}
    assert search(api, zoo, f"attributes.run_id = '{ids['b']}'") == ["b"]
    assert search(api, zoo, f"run_id IN ('{ids['a']}', '{ids['b']}')") == ["b", "a"]
    assert search(api, zoo, f"attributes.run_id NOT IN ('{ids['a']}')") == ["d", "c", "b"]
    assert search(api, zoo, f"run_id LIKE '{ids['c'][:12]}%'") == ["c"]
    uri = f"mlflow-artifacts:/{zoo}/{ids['d']}/artifacts"
    assert search(api, zoo, f"attributes.artifact_uri = '{uri}'") == ["d"]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ([], "dcba"),
        (["start_time"], "abcd"),
        (["attributes.start_time ASC"], "abcd"),
        (["attribute.start_time DESC"], "dcba"),
        (["created DESC"], "dcba"),
        (["metrics.acc"], "abcd"),
        (["metrics.acc DESC"], "bacd"),
        (["metrics.`acc` desc"], "bacd"),
        (["params.lr"], "bacd"),
        (["params.lr DESC"], "cabd"),
        (["tags.`team.x`", "start_time"], "cabd"),
        (["status", "start_time"], "abcd"),
        (["end_time"], "abdc"),
        (["run_name DESC"], "dcba"),
        (["metrics.nothing"], "dcba"),
        (["params.opt DESC", "metrics.acc"], "abcd"),
    ],
)
def test_orders(api: Api, zoo: str, order: list[str], found: str) -> None:
    assert "".join(search(api, zoo, order_by=order)) == found


@pytest.mark.parametrize(
    "filter",
    [
        "metrics.acc > 'a'",
        "metrics.acc = 'NaN'",
        "metrics.acc LIKE 'x'",
        "params.lr = 0.1",
        "params.lr > '0.1'",
        "params.lr",
        "params.lr = ",
        "nothing.lr = 'x'",
        "nothing = 'x'",
        "params.lr = 'a' OR params.lr = 'b'",
        "(params.lr = 'a')",
        "params.lr = 'a",
        "tags.a IN ('x')",
        "status > 'FINISHED'",
        "start_time LIKE '1'",
        "run_id IN ()",
        "params.lr = '0.1'; DROP TABLE runs",
    ],
)
def test_filters_that_cannot_be_read_are_refused(api: Api, experiment: str, filter: str) -> None:
    fields = {"experiment_ids": [experiment], "filter": filter}
    api.refused("POST", "runs/search", "INVALID_PARAMETER_VALUE", 400, json=fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"order_by": ["nothing.x"]},
        {"order_by": ["metrics.acc SIDEWAYS"]},
        {"order_by": "start_time"},
        {"order_by": [1]},
        {"max_results": 50_001},
        {"max_results": 123456789},
        {"page_token": "never given out"},
        {"filter": 5},
        {"experiment_ids": "0"},
    ],
)
def test_searches_that_cannot_be_read_are_refused(api: Api, experiment: str, fields: dict[str, Any]) -> None:
    given = {"experiment_ids": [experiment], **fields}
    api.refused("POST", "runs/search", "INVALID_PARAMETER_VALUE", 400, json=given)


def test_too_many_results_are_told_by_their_value(api: Api, experiment: str) -> None:
    fields = {"experiment_ids": [experiment], "max_results": 123456789}
    words = "Invalid value 123456789 for parameter 'max_results' supplied"
    api.refused("POST", "runs/search", "INVALID_PARAMETER_VALUE", 400, words, json=fields)


def test_runs_that_began_together_are_in_order_of_their_ids_and_come_in_pages(api: Api, experiment: str) -> None:
    runs = sorted(
        api.post("runs/create", experiment_id=experiment, start_time=1)["run"]["info"]["run_id"] for _ in range(10)
    )
    fields: dict[str, Any] = {"experiment_ids": [experiment], "max_results": 4}
    pages = []
    while True:
        page = api.post("runs/search", fields)
        pages.append([run["info"]["run_id"] for run in page["runs"]])
        if "next_page_token" not in page:
            break
        fields["page_token"] = page["next_page_token"]
    assert pages == [runs[:4], runs[4:8], runs[8:]]


def test_deleted_runs_are_found_where_asked_for(api: Api, experiment: str) -> None:
    runs = [api.post("runs/create", experiment_id=experiment, run_name=name)["run"]["info"]["run_id"] for name in "ab"]
    api.post("runs/delete", run_id=runs[1])
    assert search(api, experiment) == ["a"]
    assert search(api, experiment, run_view_type="ACTIVE_ONLY") == ["a"]
    assert search(api, experiment, run_view_type="DELETED_ONLY") == ["b"]
    assert sorted(search(api, experiment, run_view_type="ALL")) == ["a", "b"]


def test_several_experiments_are_searched_at_once(api: Api, name: str) -> None:
    experiments = [api.post("experiments/create", name=f"{name}{i}")["experiment_id"] for i in range(3)]
    for i, experiment in enumerate(experiments):
        api.post("runs/create", experiment_id=experiment, run_name=str(i), start_time=i + 1)
    found = api.post("runs/search", experiment_ids=experiments[:2])["runs"]
    assert [run["info"]["run_name"] for run in found] == ["1", "0"]


def test_what_finds_nothing_is_an_empty_object(api: Api, experiment: str) -> None:
    assert api.post("runs/search", experiment_ids=[experiment]) == {}
    assert api.post("runs/search", experiment_ids=["987654321"]) == {}
    assert api.post("runs/search", experiment_ids=[]) == {}


def test_a_found_run_is_told_as_when_it_is_asked_for(api: Api, zoo: str) -> None:
    for run in api.post("runs/search", experiment_ids=[zoo])["runs"]:
        assert run == api.get("runs/get", run_id=run["info"]["run_id"])["run"]


def test_the_latest_value_is_what_counts(api: Api, experiment: str, run: str) -> None:
    for step, value in enumerate([1.0, 5.0, 3.0]):
        api.post("runs/log-metric", run_id=run, key="m", value=value, timestamp=step, step=step)
    assert search(api, experiment, "metrics.m > 4") == []
    assert len(search(api, experiment, "metrics.m = 3")) == 1
