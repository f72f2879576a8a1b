"""Datasets: `mlflow.data`, logged as inputs of runs."""

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame([[1, 2, 3], [1, 2, 3]], columns=["a", "b", "c"])


def test_a_frame_is_logged_as_an_input(tracking: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "temp.csv"
    frame.to_csv(path)
    dataset = mlflow.data.from_pandas(frame, source=str(path), name="mine")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, "train", {"foo": "baz"})
    inputs = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert len(inputs) == 1
    told = inputs[0].dataset
    assert told.name == "mine" and told.digest == "f0f3e026" and told.source_type == "local"
    assert json.loads(told.source) == {"uri": str(path)}
    assert [column["name"] for column in json.loads(told.schema)["mlflow_colspec"]] == ["a", "b", "c"]
    assert json.loads(told.profile) == {"num_rows": 2, "num_elements": 6}
    assert [(tag.key, tag.value) for tag in inputs[0].tags] == [("foo", "baz"), ("mlflow.data.context", "train")]


def test_the_source_of_an_input_is_loaded_again(tracking: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "temp.csv"
    frame.to_csv(path, index=False)
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame, source=str(path)), context="train")
    told = mlflow.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset
    source = mlflow.data.get_source(told)
    assert pd.read_csv(source.load()).equals(frame)


def test_the_same_input_counts_once_and_others_are_added(tracking: str, frame: pd.DataFrame) -> None:
    train, test = mlflow.data.from_pandas(frame, name="d"), mlflow.data.from_pandas(frame + 1, name="d")
    with mlflow.start_run() as run:
        for _ in range(2):
            mlflow.log_input(train, context="train")
        mlflow.log_input(test, context="test")
    inputs = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert sorted(held.tags[0].value for held in inputs) == ["test", "train"]


def test_two_runs_share_a_dataset(tracking: str, frame: pd.DataFrame) -> None:
    runs = []
    for context in ("train", "eval"):
        with mlflow.start_run() as run:
            mlflow.log_input(mlflow.data.from_pandas(frame, name="shared"), context=context)
        runs.append(run.info.run_id)
    found = mlflow.search_runs([tracking], filter_string="datasets.name = 'shared'", output_format="list")
    assert {run.info.run_id for run in found} == set(runs)
    found = mlflow.search_runs(
        [tracking], filter_string="dataset.name = 'shared' AND dataset.context = 'eval'", output_format="list"
    )
    assert [run.info.run_id for run in found] == runs[1:]


def test_the_client_logs_inputs(client: MlflowClient, run: str) -> None:
    dataset = Dataset(name="name1", digest="digest1", source_type="source_type1", source="source1")
    client.log_inputs(run, [DatasetInput(dataset=dataset, tags=[InputTag(key="tag1", value="value1")])])
    inputs = client.get_run(run).inputs.dataset_inputs
    assert len(inputs) == 1
    assert (inputs[0].dataset.name, inputs[0].dataset.digest) == ("name1", "digest1")
    assert (inputs[0].dataset.source_type, inputs[0].dataset.source) == ("source_type1", "source1")
    assert [(tag.key, tag.value) for tag in inputs[0].tags] == [("tag1", "value1")]


def test_a_big_profile_is_kept_whole(client: MlflowClient, run: str) -> None:
    profile = json.dumps({"text": "x" * 500_000})
    dataset = Dataset(name="d", digest="1", source_type="s", source="s", schema="c" * 60_000, profile=profile)
    client.log_inputs(run, [DatasetInput(dataset=dataset, tags=[])])
    told = client.get_run(run).inputs.dataset_inputs[0].dataset
    assert told.profile == profile and told.schema == "c" * 60_000
