"""`MlflowClient`: experiments, runs, metrics, params and tags."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_USER


def test_experiments_are_made_found_and_searched(client: MlflowClient, name: str) -> None:
    made = client.create_experiment(name, tags={"key1": "val1", "key2": "val2"})
    told = client.get_experiment(made)
    assert told.name == name and told.tags == {"key1": "val1", "key2": "val2"}
    assert told.lifecycle_stage == "active"
    assert told.artifact_location.endswith(made)
    assert client.get_experiment_by_name(name).experiment_id == made
    assert client.get_experiment_by_name(f"{name} nothing") is None
    found = client.search_experiments(filter_string=f"name = '{name}'")
    assert [held.experiment_id for held in found] == [made]
    assert found.token is None


def test_experiments_come_in_pages(client: MlflowClient, name: str) -> None:
    ids = [client.create_experiment(f"{name}{i}") for i in range(3)]
    mine = {"filter_string": f"name LIKE '{name}%'", "order_by": ["name"], "max_results": 2}
    first = client.search_experiments(**mine)
    second = client.search_experiments(**mine, page_token=first.token)
    assert [held.experiment_id for page in (first, second) for held in page] == ids
    assert first.token and not second.token


def test_deleted_experiments_are_found_where_asked_for(client: MlflowClient, name: str) -> None:
    ids = {suffix: client.create_experiment(name + suffix) for suffix in "ab"}
    client.delete_experiment(ids["b"])

    def find(view: int) -> set[str]:
        found = client.search_experiments(view_type=view, filter_string=f"name LIKE '{name}%'")
        return {held.name.removeprefix(name) for held in found}

    assert find(ViewType.ACTIVE_ONLY) == {"a"}
    assert find(ViewType.DELETED_ONLY) == {"b"}
    assert find(ViewType.ALL) == {"a", "b"}
    client.restore_experiment(ids["b"])
    assert find(ViewType.ACTIVE_ONLY) == {"a", "b"}


def test_an_experiment_is_renamed_and_keeps_its_artifacts(client: MlflowClient, experiment: str, name: str) -> None:
    before = client.get_experiment(experiment)
    client.rename_experiment(experiment, f"{name}-2")
    after = client.get_experiment(experiment)
    assert after.name == f"{name}-2" and after.artifact_location == before.artifact_location


def test_a_name_cannot_be_taken_twice(client: MlflowClient, experiment: str, name: str) -> None:
    with pytest.raises(MlflowException, match="already exists") as refused:
        client.create_experiment(name)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.delete_experiment(experiment)
    with pytest.raises(MlflowException):
        client.create_experiment(name)


def test_a_run_with_everything(client: MlflowClient, experiment: str) -> None:
    tags = {MLFLOW_USER: "username", MLFLOW_PARENT_RUN_ID: "7", "mlflow.source.name": "x.py", "my": "tag"}
    made = client.create_run(experiment, start_time=456, run_name="my name", tags=tags)
    told = client.get_run(made.info.run_id)
    for run in (made, told):
        assert run.info.run_id == made.info.run_id
        assert run.info.experiment_id == experiment
        assert run.info.user_id == "username"
        assert run.info.start_time == 456
        assert run.info.run_name == "my name"
        assert run.data.tags.items() >= tags.items()
    assert [run.info for run in client.search_runs([experiment])] == [told.info]


def test_a_run_with_nothing(client: MlflowClient, experiment: str) -> None:
    began = int(time.time() * 1000)
    run = client.create_run(experiment)
    told = client.get_run(run.info.run_id)
    assert told.info.user_id == "unknown"
    assert told.info.status == "RUNNING" and told.info.end_time is None
    assert began - 1000 <= told.info.start_time <= time.time() * 1000 + 1000
    assert told.data.metrics == {} and told.data.params == {}
    assert told.info == run.info


def test_a_run_ends(client: MlflowClient, run: str) -> None:
    client.set_terminated(run)
    told = client.get_run(run).info
    assert told.status == "FINISHED" and told.end_time <= time.time() * 1000 + 1
    client.set_terminated(run, "FAILED", end_time=5)
    told = client.get_run(run).info
    assert told.status == "FAILED" and told.end_time == 5


def test_a_run_is_renamed_without_a_change_of_status(client: MlflowClient, run: str) -> None:
    client.set_terminated(run, "FINISHED")
    client.update_run(run, name="name_abc")
    told = client.get_run(run)
    assert told.info.run_name == "name_abc" and told.info.status == "FINISHED"
    assert told.data.tags["mlflow.runName"] == "name_abc"
    client.update_run(run, status="KILLED")
    assert client.get_run(run).info.status == "KILLED"


def test_metrics_params_and_tags(client: MlflowClient, run: str) -> None:
    client.log_metric(run, "metric", 123.456, timestamp=789, step=2)
    client.log_metric(run, "nan", math.nan)
    client.log_metric(run, "inf", math.inf)
    client.log_metric(run, "-inf", -math.inf)
    client.log_metric(run, "stepless", 987.654, timestamp=321)
    client.log_param(run, "param", "value")
    client.log_param(run, "number", 5)
    client.log_param(run, "empty", "")
    client.set_tag(run, "taggity", "do-dah")
    client.set_tag(run, "empty", "")
    told = client.get_run(run).data
    assert told.metrics["metric"] == 123.456 and told.metrics["stepless"] == 987.654
    assert math.isnan(told.metrics["nan"])
    assert told.metrics["inf"] >= 1.7976931348623157e308 and told.metrics["-inf"] <= -1.7976931348623157e308
    assert told.params == {"param": "value", "number": "5", "empty": ""}
    assert told.tags.items() >= {"taggity": "do-dah", "empty": ""}.items()
    point = client.get_metric_history(run, "metric")[0]
    assert (point.key, point.value, point.timestamp, point.step) == ("metric", 123.456, 789, 2)
    assert client.get_metric_history(run, "stepless")[0].step == 0
    assert client.get_metric_history(run, "nothing") == []


def test_the_latest_metric_is_that_of_the_greatest_step(client: MlflowClient, run: str) -> None:
    for step, value in ((0, 25), (5, 30), (-2, 40)):
        client.log_metric(run, "name", value, step=step, timestamp=123000)
    assert client.get_run(run).data.metrics == {"name": 30}
    points = {(m.value, m.timestamp, m.step) for m in client.get_metric_history(run, "name")}
    assert points == {(25, 123000, 0), (30, 123000, 5), (40, 123000, -2)}


def test_a_history_of_many_pages_comes_whole(client: MlflowClient, run: str) -> None:
    for begin in range(0, 26_000, 1000):
        client.log_batch(run, metrics=[Metric("m", float(i), i, i) for i in range(begin, begin + 1000)])
    points = client.get_metric_history(run, "m")
    assert [point.step for point in points] == list(range(26_000))


def test_a_batch(client: MlflowClient, run: str) -> None:
    client.log_batch(
        run,
        metrics=[Metric("metric", 123.456, 789, 3), Metric("metric", 1.0, 790, 4)],
        params=[Param("param", "value"), Param("empty", "")],
        tags=[RunTag("taggity", "do-dah"), RunTag("empty", "")],
    )
    told = client.get_run(run).data
    assert told.metrics == {"metric": 1.0}
    assert told.params == {"param": "value", "empty": ""}
    assert told.tags.items() >= {"taggity": "do-dah", "empty": ""}.items()
    assert len(client.get_metric_history(run, "metric")) == 2


def test_a_batch_of_any_size_arrives(client: MlflowClient, run: str) -> None:
    metrics = [Metric(f"m{i}", float(i), 1, 0) for i in range(1500)]
    tags = [RunTag(f"t{i}", "v") for i in range(150)]
    client.log_batch(run, metrics=metrics, params=[Param(f"p{i}", "v") for i in range(150)], tags=tags)
    told = client.get_run(run).data
    assert len(told.metrics) == 1500 and len(told.params) == 150 and len(told.tags) == 151


def test_a_param_cannot_change(client: MlflowClient, run: str) -> None:
    client.log_param(run, "a", "1")
    client.log_param(run, "a", "1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run, "a", "2")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_batch(run, params=[Param("a", "2")])
    assert client.get_run(run).data.params == {"a": "1"}


def test_a_tag_is_deleted(client: MlflowClient, run: str) -> None:
    client.set_tag(run, "taggity", "do-dah")
    client.delete_tag(run, "taggity")
    assert "taggity" not in client.get_run(run).data.tags
    with pytest.raises(MlflowException, match=r"Run .+ not found"):
        client.delete_tag("fake_run_id", "taggity")
    with pytest.raises(MlflowException, match="No tag with name: fakeTag"):
        client.delete_tag(run, "fakeTag")
    client.delete_run(run)
    with pytest.raises(MlflowException, match=f"The run {run} must be in"):
        client.delete_tag(run, "taggity")


def test_experiment_tags(client: MlflowClient, experiment: str) -> None:
    client.set_experiment_tag(experiment, "dataset", "imagenet1K")
    client.set_experiment_tag(experiment, "dataset", "birdbike")
    client.set_experiment_tag(experiment, "multiline tag", "value2\nvalue2")
    client.set_experiment_tag(experiment, "empty", "")
    assert client.get_experiment(experiment).tags == {
        "dataset": "birdbike",
        "multiline tag": "value2\nvalue2",
        "empty": "",
    }
    if hasattr(client, "delete_experiment_tag"):
        client.delete_experiment_tag(experiment, "dataset")
        assert "dataset" not in client.get_experiment(experiment).tags


def test_deleting_and_restoring(client: MlflowClient, experiment: str) -> None:
    runs = [client.create_run(experiment).info.run_id for _ in range(3)]
    client.delete_run(runs[0])
    assert client.get_run(runs[0]).info.lifecycle_stage == "deleted"
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        client.log_metric(runs[0], "m", 1)

    def find(view: int) -> set[str]:
        return {run.info.run_id for run in client.search_runs([experiment], run_view_type=view)}

    assert find(ViewType.ACTIVE_ONLY) == set(runs[1:])
    assert find(ViewType.DELETED_ONLY) == {runs[0]}
    assert find(ViewType.ALL) == set(runs)
    client.delete_experiment(experiment)
    assert find(ViewType.ACTIVE_ONLY) == set()
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    with pytest.raises(MlflowException):
        client.create_run(experiment)
    client.restore_experiment(experiment)
    assert set(runs[1:]) <= find(ViewType.ACTIVE_ONLY)
    client.restore_run(runs[0])
    assert find(ViewType.ACTIVE_ONLY) == set(runs)


def test_search_with_pages_orders_and_limits(client: MlflowClient, experiment: str) -> None:
    runs = sorted(client.create_run(experiment, start_time=1).info.run_id for _ in range(10))
    found, token = [], None
    for size in (4, 4, 2):
        page = client.search_runs([experiment], max_results=4, page_token=token)
        assert len(page) == size
        found += [run.info.run_id for run in page]
        token = page.token
    assert found == runs and token is None
    with pytest.raises(MlflowException, match="Invalid value 123456789 for parameter 'max_results' supplied"):
        client.search_runs([experiment], max_results=123456789)
    with pytest.raises(MlflowException) as refused:
        client.search_runs([experiment], filter_string="nothing = 'x'")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_parent_is_found(client: MlflowClient, experiment: str, run: str) -> None:
    child = client.create_run(experiment, tags={MLFLOW_PARENT_RUN_ID: run}).info.run_id
    assert client.get_parent_run(child).info.run_id == run
    assert client.get_parent_run(run) is None


def test_several_clients_at_once_lose_nothing(client: MlflowClient, run: str) -> None:
    def log(worker: int) -> None:
        for step in range(20):
            client.log_metric(run, f"m{worker % 2}", step + worker / 10, step=step, timestamp=step)
            client.set_tag(run, f"t{worker}", step)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(8)))
    for key in ("m0", "m1"):
        assert len(client.get_metric_history(run, key)) == 80
    assert client.get_run(run).data.tags.items() >= {f"t{i}": "19" for i in range(8)}.items()


def test_waiting_calls_arrive_whole(client: MlflowClient, run: str) -> None:
    waiting = [client.log_metric(run, "single", i, step=i, synchronous=False) for i in range(100)]
    waiting.append(client.log_batch(run, metrics=[Metric(f"b{i}", i, 1, 1) for i in range(100)], synchronous=False))
    waiting.append(client.log_param(run, "p", "1", synchronous=False))
    waiting.append(client.set_tag(run, "t", "1", synchronous=False))
    for operation in waiting:
        operation.wait()
    told = client.get_run(run).data
    assert told.metrics["single"] == 99 and told.metrics["b57"] == 57
    assert told.params == {"p": "1"} and told.tags["t"] == "1"
    assert len(client.get_metric_history(run, "single")) == 100
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run, "p", "2", synchronous=False).wait()


def test_flushing_waits_for_everything(tracking: str) -> None:
    with mlflow.start_run() as run:
        for i in range(50):
            mlflow.log_metric("dummy", i, step=i, synchronous=False)
        mlflow.flush_async_logging()
        assert len(MlflowClient().get_metric_history(run.info.run_id, "dummy")) == 50


def test_artifacts_of_a_run(client: MlflowClient, run: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "my.file").write_text("Hello, World!")
    assert client.list_artifacts(run) == []
    client.log_artifact(run, str(source / "my.file"))
    client.log_artifacts(run, str(source), "dir")
    client.log_dict(run, {"a": [1]}, "dir/data.json")
    client.log_text(run, "text", "notes/a.txt")
    listed = client.list_artifacts(run)
    assert [(file.path, file.is_dir, file.file_size) for file in listed] == [
        ("dir", True, None),
        ("my.file", False, 13),
        ("notes", True, None),
    ]
    assert [file.path for file in client.list_artifacts(run, "dir")] == ["dir/data.json", "dir/my.file"]
    assert client.list_artifacts(run, "nothing") == []
    for number, root in enumerate(("", ".")):  # two names of the same folder
        (tmp_path / str(number)).mkdir()
        whole = Path(client.download_artifacts(run, root, str(tmp_path / str(number))))
        assert (whole / "dir" / "my.file").read_text() == "Hello, World!"
        assert (whole / "notes" / "a.txt").read_text() == "text"
