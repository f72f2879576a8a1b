"""The fluent API: runs around code, and what is logged within them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from PIL import Image


def test_a_run_around_code(tracking: str) -> None:
    with mlflow.start_run() as run:
        assert mlflow.active_run().info.run_id == run.info.run_id
        mlflow.log_metric("name_1", 25)
        mlflow.log_metric("name_1", 30)
        mlflow.log_params({"a": 1, "nested/name": "x"})
        mlflow.log_metrics({"m1": 1.0, "m2": 2.0}, step=3)
        mlflow.set_tags({"k": "v", "number": 5})
    assert mlflow.active_run() is None
    told = mlflow.get_run(run.info.run_id)
    assert told.info.status == "FINISHED"
    assert told.data.metrics == {"name_1": 30, "m1": 1.0, "m2": 2.0}
    assert told.data.params == {"a": "1", "nested/name": "x"}
    assert told.data.tags.items() >= {"k": "v", "number": "5"}.items()
    assert told.data.tags["mlflow.source.name"] and told.data.tags["mlflow.user"] == told.info.user_id
    for point in MlflowClient().get_metric_history(run.info.run_id, "name_1"):
        assert told.info.start_time <= point.timestamp <= told.info.end_time
    assert mlflow.last_active_run().info.run_id == run.info.run_id


def test_a_run_that_fails_is_failed(tracking: str) -> None:
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


def test_runs_within_runs(tracking: str) -> None:
    with mlflow.start_run(run_name="outer") as outer, mlflow.start_run(run_name="inner", nested=True) as inner:
        mlflow.log_param("p", "inner")
        with mlflow.start_run(nested=True, description="deep") as deep:
            mlflow.log_metric("m", 1)
    assert mlflow.get_parent_run(inner.info.run_id).info.run_id == outer.info.run_id
    assert mlflow.get_parent_run(deep.info.run_id).info.run_id == inner.info.run_id
    assert mlflow.get_parent_run(outer.info.run_id) is None
    children = mlflow.search_runs(
        [tracking], filter_string=f"tags.mlflow.parentRunId = '{outer.info.run_id}'", output_format="list"
    )
    assert [run.info.run_name for run in children] == ["inner"]
    assert mlflow.get_run(deep.info.run_id).data.tags["mlflow.note.content"] == "deep"


def test_a_run_is_taken_up_again(tracking: str) -> None:
    with mlflow.start_run(tags={"a": "1"}) as first:
        mlflow.log_metric("m", 1, step=1)
    ended = mlflow.get_run(first.info.run_id).info
    with mlflow.start_run(run_id=first.info.run_id, tags={"b": "2"}) as again:
        assert again.info.run_id == first.info.run_id
        assert mlflow.get_run(first.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("m", 2, step=2)
    told = mlflow.get_run(first.info.run_id)
    assert told.info.status == "FINISHED" and told.info.end_time >= ended.end_time
    assert told.info.start_time == ended.start_time
    assert told.data.metrics == {"m": 2} and told.data.tags.items() >= {"a": "1", "b": "2"}.items()


def test_a_deleted_run_is_not_taken_up(tracking: str) -> None:
    with mlflow.start_run() as run:
        pass
    mlflow.delete_run(run.info.run_id)
    with pytest.raises(MlflowException, match="deleted"):
        mlflow.start_run(run_id=run.info.run_id)


def test_an_experiment_is_set_by_name_and_made_where_missing(tracking: str, name: str) -> None:
    made = mlflow.set_experiment(f"{name}-new")
    assert made.name == f"{name}-new" and made.lifecycle_stage == "active"
    with mlflow.start_run() as run:
        assert run.info.experiment_id == made.experiment_id
    assert mlflow.set_experiment(f"{name}-new").experiment_id == made.experiment_id
    mlflow.set_experiment_tags({"a": "b", "n": 1})
    assert mlflow.get_experiment(made.experiment_id).tags == {"a": "b", "n": "1"}
    mlflow.delete_experiment(made.experiment_id)
    with pytest.raises(MlflowException, match="deleted experiment"):
        mlflow.set_experiment(f"{name}-new")


def test_threads_that_set_the_same_experiment_agree(tracking: str, name: str) -> None:
    def set_experiment(_: int) -> str:
        return str(mlflow.set_experiment(f"{name}-shared").experiment_id)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(set_experiment, range(4)))) == 1


def test_experiments_are_searched(tracking: str, name: str) -> None:
    for i in range(3):
        mlflow.create_experiment(f"{name}/{i}", tags={"n": str(i)})
    found = mlflow.search_experiments(filter_string=f"name LIKE '{name}/%'", order_by=["name DESC"])
    assert [experiment.name for experiment in found] == [f"{name}/{i}" for i in (2, 1, 0)]
    found = mlflow.search_experiments(filter_string=f"name LIKE '{name}/%' AND tags.n = '1'")
    assert [experiment.name for experiment in found] == [f"{name}/1"]


def test_runs_are_searched_into_a_table(tracking: str) -> None:
    for i in range(3):
        with mlflow.start_run(run_name=f"r{i}"):
            mlflow.log_param("p", i)
            mlflow.log_metric("m", i / 2)
            if i == 2:
                mlflow.set_tag("only", "here")
    table = mlflow.search_runs([tracking], filter_string="metrics.m > 0", order_by=["metrics.m ASC"])
    assert isinstance(table, pd.DataFrame)
    assert list(table["params.p"]) == ["1", "2"] and list(table["metrics.m"]) == [0.5, 1.0]
    assert list(table["tags.only"].isna()) == [True, False]
    assert list(table["status"]) == ["FINISHED", "FINISHED"]
    assert str(table["start_time"].dt.tz) == "UTC"
    assert list(table["tags.mlflow.runName"]) == ["r1", "r2"]
    name = mlflow.get_experiment(tracking).name
    assert len(mlflow.search_runs(experiment_names=[name])) == 3
    assert len(mlflow.search_runs(experiment_names=[name], max_results=2)) == 2
    assert mlflow.search_runs(experiment_names=[f"{name} nothing"], output_format="list") == []


def test_files_and_folders_are_logged(tracking: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("0")
    (folder / "deep" / "b.bin").write_bytes(bytes(range(256)) * 5000)
    (folder / "empty").touch()
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(folder / "a.txt"))
        mlflow.log_artifact(str(folder / "a.txt"), "somewhere/else")
        mlflow.log_artifacts(str(folder), "all")
        uri = mlflow.get_artifact_uri("all")
    assert uri.endswith(f"{run.info.run_id}/artifacts/all")
    listed = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
    assert [(file.path, file.is_dir) for file in listed] == [("a.txt", False), ("all", True), ("somewhere", True)]
    got = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    assert (got / "deep" / "b.bin").read_bytes() == bytes(range(256)) * 5000
    assert (got / "empty").read_bytes() == b""
    got = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="somewhere/else/a.txt"))
    assert got.read_text() == "0"
    got = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"runs:/{run.info.run_id}/all/a.txt"))
    assert got.read_text() == "0"
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/a.txt") == "0"


def test_a_file_that_is_logged_again_is_replaced(tracking: str) -> None:
    with mlflow.start_run() as run:
        for text in ("a longer text", "short"):
            mlflow.log_text(text, "notes.txt")
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes.txt") == "short"
    assert [file.file_size for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)] == [5]


def test_things_are_logged_as_files(tracking: str) -> None:
    figure, axes = plt.subplots()
    axes.plot([0, 1], [2, 3])
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    with mlflow.start_run() as run:
        mlflow.log_dict({"a": [1, None, "ü"]}, "data.json")
        mlflow.log_dict({"a": 1}, "data.yaml")
        mlflow.log_text("größe", "dir/notes.txt")
        mlflow.log_figure(figure, "plots/figure.png")
        mlflow.log_image(picture, "images/picture.png")
    plt.close(figure)
    root = run.info.artifact_uri
    assert mlflow.artifacts.load_dict(f"{root}/data.json") == {"a": [1, None, "ü"]}
    assert mlflow.artifacts.load_text(f"{root}/dir/notes.txt") == "größe"
    assert mlflow.artifacts.load_image(f"{root}/images/picture.png").size == (8, 8)
    with Image.open(mlflow.artifacts.download_artifacts(artifact_uri=f"{root}/plots/figure.png")) as drawn:
        assert drawn.format == "PNG"


def test_images_are_logged_by_step(tracking: str) -> None:
    with mlflow.start_run() as run:
        for step in range(2):
            mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), key="dog", step=step, synchronous=True)
    names = [file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="images")]
    assert len(names) == 4 and all(name.startswith("images/dog") for name in names)
    for name in names:
        assert mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name)


def test_a_table_grows_and_is_loaded(tracking: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
        mlflow.log_table(pd.DataFrame({"q": ["c"], "n": [3]}), "table.json")
    loaded = mlflow.load_table("table.json", run_ids=[run.info.run_id])
    assert list(loaded["q"]) == ["a", "b", "c"] and list(loaded["n"]) == [1, 2, 3]
    told = mlflow.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(told) == [{"path": "table.json", "type": "table"}]
    loaded = mlflow.load_table("table.json", extra_columns=["run_id"])
    assert set(loaded["run_id"]) == {run.info.run_id}


def test_system_metrics_are_logged(tracking: str) -> None:
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(log_system_metrics=True) as run:
        time.sleep(1.5)
    told = mlflow.get_run(run.info.run_id).data.metrics
    assert "system/cpu_utilization_percentage" in told
    assert "system/system_memory_usage_megabytes" in told


def test_tags_and_experiment_tags_are_deleted(tracking: str) -> None:
    with mlflow.start_run() as run:
        mlflow.set_tag("a", "b")
        mlflow.delete_tag("a")
        assert "a" not in mlflow.get_run(run.info.run_id).data.tags
        with pytest.raises(MlflowException, match="No tag with name"):
            mlflow.delete_tag("a")
    if hasattr(mlflow, "delete_experiment_tag"):
        mlflow.set_experiment_tag("a", "b")
        mlflow.delete_experiment_tag("a")
        with pytest.raises(MlflowException, match=f"No tag with name: a in experiment with id {tracking}"):
            mlflow.delete_experiment_tag("a")


def test_names_that_are_no_clean_paths_are_refused(tracking: str) -> None:
    with mlflow.start_run() as run:
        for key in ("../up", "a//b", "semi;colon"):
            with pytest.raises(MlflowException) as refused:
                mlflow.log_metric(key, 1)
            assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
        with pytest.raises(MlflowException, match="250"):
            mlflow.log_param("k" * 251, 1)
    assert mlflow.get_run(run.info.run_id).data.metrics == {}


def test_everything_may_be_logged_without_waiting(tracking: str) -> None:
    mlflow.config.enable_async_logging(True)
    try:
        with mlflow.start_run() as run:
            for i in range(20):
                mlflow.log_metric("m", i, step=i)
            mlflow.log_params({f"p{i}": i for i in range(50)})
            mlflow.set_tags({f"t{i}": i for i in range(50)})
        mlflow.flush_async_logging()
    finally:
        mlflow.config.enable_async_logging(False)
    told = mlflow.get_run(run.info.run_id).data
    assert told.metrics == {"m": 19} and len(told.params) == 50
    assert told.tags["t49"] == "49"
