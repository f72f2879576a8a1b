"""Searches in MLflow's protocol: the shape of their answers, pages, and refusals."""

from collections.abc import Iterator
from typing import Any

import pytest

from server.mlflow.world import World, open_world

INVALID = "INVALID_PARAMETER_VALUE"
AT = 1_700_000_000_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def runs(world: World) -> list[str]:
    """Three runs in an experiment of their own, the newest last; the last has no metric."""
    experiment = world.get("POST", "experiments/create", {"name": "searched"})["experiment_id"]
    made = []
    for number in range(3):
        given = {"experiment_id": experiment, "start_time": AT + number, "run_name": f"r{number}"}
        run_id = world.get("POST", "runs/create", given)["run"]["info"]["run_id"]
        metrics = [{"key": "acc", "value": v, "timestamp": AT, "step": 0} for v in ([0.5, "NaN", None][number],) if v]
        params = [{"key": "lr", "value": "0.01"}, {"key": "n", "value": str(number)}]
        world.get("POST", "runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": params})
        made.append(run_id)
    return [experiment, *made]


def search(world: World, runs: list[str], **asked: Any) -> Any:
    return world.get("POST", "runs/search", {"experiment_ids": [runs[0]], **asked})


def ids(answer: Any) -> list[str]:
    return [run["info"]["run_id"] for run in answer.get("runs", [])]


def test_a_found_run_looks_as_when_it_is_asked_for(world: World, runs: list[str]) -> None:
    for run in search(world, runs)["runs"]:
        alone = world.get("GET", "runs/get", run_id=run["info"]["run_id"])["run"]
        assert run["info"] == alone["info"]
        assert (run["inputs"], run["outputs"]) == (alone["inputs"], alone["outputs"])
        for part in ("metrics", "params", "tags"):
            assert sorted(map(str, run["data"].get(part, []))) == sorted(map(str, alone["data"].get(part, [])))


def test_the_newest_runs_come_first_unless_asked_otherwise(world: World, runs: list[str]) -> None:
    assert ids(search(world, runs)) == [runs[3], runs[2], runs[1]]
    for order in ("metrics.acc DESC", "metrics.acc ASC"):
        assert ids(search(world, runs, order_by=[order])) == [runs[1], runs[2], runs[3]]
    assert ids(search(world, runs, filter="metrics.acc > 0.1 and params.lr = '0.01'")) == [runs[1]]
    assert ids(search(world, runs, filter="metrics.acc != 0.5")) == [runs[2]]


def test_pages_go_on_and_end_without_a_token(world: World, runs: list[str]) -> None:
    first = search(world, runs, max_results=2)
    rest = search(world, runs, max_results=2, page_token=first["next_page_token"])
    assert ids(first) + ids(rest) == [runs[3], runs[2], runs[1]]
    assert "next_page_token" not in rest


def test_what_finds_nothing_is_an_empty_object(world: World, runs: list[str]) -> None:
    assert search(world, runs, filter="params.lr = 'x'") == {}
    assert world.get("POST", "runs/search", {"experiment_ids": []}) == {}
    assert world.get("POST", "runs/search", {"experiment_ids": ["77", "-1", "9" * 30]}) == {}
    assert search(world, runs, run_view_type="DELETED_ONLY") == {}


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "m.acc > 1"},
        {"filter": "metrics.acc > '1'"},
        {"filter": "metrics.acc > 1 OR metrics.acc < 1"},
        {"filter": "metrics.acc > 1\x00"},
        {"order_by": ["nope"]},
        {"max_results": 0},
        {"max_results": 50_001},
        {"page_token": "made-up"},
        {"run_view_type": "SOME"},
        {"experiment_ids": ["1; DROP TABLE runs"]},
    ],
)
def test_a_search_that_makes_no_sense_is_refused(world: World, runs: list[str], asked: dict[str, Any]) -> None:
    assert world.refuse("POST", "runs/search", {"experiment_ids": [runs[0]], **asked})[:2] == (400, INVALID)


def test_experiments_are_found_by_either_method(world: World, runs: list[str]) -> None:
    asked = {"filter": "name = 'searched'", "max_results": 5}
    by_post = world.get("POST", "experiments/search", asked)
    assert [each["experiment_id"] for each in by_post["experiments"]] == [runs[0]]
    assert world.get("GET", "experiments/search", **asked) == by_post
    asked = {"max_results": 1, "order_by": "experiment_id DESC"}
    first = world.get("GET", "experiments/search", **asked)
    rest = world.get("GET", "experiments/search", **asked, page_token=first["next_page_token"])
    assert [each["experiments"][0]["experiment_id"] for each in (first, rest)] == [runs[0], "0"]
    assert "next_page_token" not in rest
    assert world.refuse("GET", "experiments/search", max_results=0)[:2] == (400, INVALID)


def test_runs_are_found_by_the_datasets_they_read(world: World, runs: list[str]) -> None:
    for digest in ("d1", "d2"):
        dataset = {"name": "orders", "digest": digest, "source_type": "local", "source": "{}"}
        given = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
        world.get("POST", "runs/log-inputs", {"run_id": runs[2], "datasets": [given]})
    for filter in ("dataset.name = 'orders'", "datasets.digest IN ('d1', 'd2')", "dataset.context LIKE 'train%'"):
        found = search(world, runs, filter=filter)
        assert ids(found) == [runs[2]]
        assert len(found["runs"][0]["inputs"]["dataset_inputs"]) == 2
    assert search(world, runs, filter="dataset.name = 'orders' AND metrics.acc > 0") == {}
