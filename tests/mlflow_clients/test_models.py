"""Models: logged, registered, found again and loaded."""

import json
import subprocess
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

IS_CLIENT_3 = int(mlflow.__version__.partition(".")[0]) >= 3
NAMED = "name" if IS_CLIENT_3 else "artifact_path"
ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.1]])
LABELS = np.array([0, 1, 0, 1])


@pytest.fixture(scope="module")
def fitted() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, LABELS)


def log_model(model: Any, name: str = "model", **fields: Any) -> Any:
    """Log a scikit-learn model; its requirements are given, since finding them out takes a process of its own."""
    return mlflow.sklearn.log_model(model, **{NAMED: name}, pip_requirements=["scikit-learn"], **fields)


class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        return model_input * 2


def test_a_model_is_logged_and_loaded(tracking: str, fitted: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        info = log_model(fitted, signature=infer_signature(ROWS, LABELS), input_example=ROWS[:1])
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/model"):
        loaded = mlflow.pyfunc.load_model(uri)
        assert list(loaded.predict(ROWS)) == list(fitted.predict(ROWS))
        assert loaded.metadata.run_id == run.info.run_id
    loaded = mlflow.sklearn.load_model(info.model_uri)
    assert np.array_equal(loaded.coef_, fitted.coef_)
    assert mlflow.models.get_model_info(info.model_uri).signature is not None


def test_a_model_of_ones_own_is_logged_with_files(tracking: str, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("words")
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            **{NAMED: "own"},
            python_model=Doubling(),
            artifacts={"words": str(tmp_path / "words.txt")},
            pip_requirements=["mlflow"],
        )
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert list(loaded.predict(pd.DataFrame({"a": [1, 2]}))["a"]) == [2, 4]
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri))
    assert (folder / "artifacts" / "words.txt").read_text() == "words" and (folder / "MLmodel").exists()


@pytest.mark.parametrize("as_uri", [True, False])
def test_a_model_on_a_disk_of_the_clients_is_registered_and_loaded(
    tracking: str, client: MlflowClient, fitted: LogisticRegression, name: str, tmp_path: Path, as_uri: bool
) -> None:
    shared = tmp_path / "shared"
    home = client.create_experiment(f"{name}-disk", artifact_location=shared.as_uri() if as_uri else str(shared))
    with mlflow.start_run(experiment_id=home) as run:
        log_model(fitted, registered_model_name=name)
    assert client.get_model_version(name, "1").run_id == run.info.run_id
    assert list(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(ROWS)) == list(fitted.predict(ROWS))
    assert list(shared.rglob("MLmodel")), "the client keeps the files itself"


def test_a_model_is_registered_and_loaded_by_version_alias_and_stage(
    tracking: str, client: MlflowClient, fitted: LogisticRegression, name: str
) -> None:
    with mlflow.start_run() as run:
        log_model(fitted, registered_model_name=name)
    told = client.get_model_version(name, "1")
    assert told.status == "READY" and told.run_id == run.info.run_id
    client.set_registered_model_alias(name, "champion", "1")
    client.transition_model_version_stage(name, "1", "Production")
    for uri in (
        f"models:/{name}/1",
        f"models:/{name}@champion",
        f"models:/{name}/Production",
        f"models:/{name}/latest",
    ):
        loaded = mlflow.pyfunc.load_model(uri)
        assert list(loaded.predict(ROWS)) == list(fitted.predict(ROWS))
    place = client.get_model_version_download_uri(name, "1")
    assert place.startswith("mlflow-artifacts:/")
    assert (Path(mlflow.artifacts.download_artifacts(artifact_uri=place)) / "MLmodel").exists()


def test_a_model_of_a_run_is_registered_later(
    tracking: str, client: MlflowClient, fitted: LogisticRegression, name: str
) -> None:
    with mlflow.start_run() as run:
        info = log_model(fitted)
    made = mlflow.register_model(f"runs:/{run.info.run_id}/model", name, tags={"k": "v"})
    assert made.version == "1" and made.tags == {"k": "v"}
    again = mlflow.register_model(info.model_uri, name)
    assert again.version == "2"
    for version in ("1", "2"):
        assert list(mlflow.pyfunc.load_model(f"models:/{name}/{version}").predict(ROWS)) == list(fitted.predict(ROWS))


def test_a_copy_is_loaded(tracking: str, client: MlflowClient, fitted: LogisticRegression, name: str) -> None:
    with mlflow.start_run():
        log_model(fitted, registered_model_name=name)
    client.copy_model_version(f"models:/{name}/1", f"{name}-copy")
    client.set_registered_model_alias(f"{name}-copy", "champion", "1")
    loaded = mlflow.pyfunc.load_model(f"models:/{name}-copy@champion")
    assert list(loaded.predict(ROWS)) == list(fitted.predict(ROWS))


def test_a_renamed_model_is_loaded(tracking: str, client: MlflowClient, fitted: LogisticRegression, name: str) -> None:
    with mlflow.start_run():
        log_model(fitted, registered_model_name=name)
    client.set_registered_model_alias(name, "champion", "1")
    client.rename_registered_model(name, f"{name}-2")
    assert mlflow.pyfunc.load_model(f"models:/{name}-2@champion") is not None


def test_the_run_remembers_its_models(tracking: str, fitted: LogisticRegression) -> None:
    with mlflow.start_run() as run:
        info = log_model(fitted)
    told = mlflow.get_run(run.info.run_id)
    if IS_CLIENT_3:
        assert [output.model_id for output in told.outputs.model_outputs] == [info.model_id]
    else:
        assert info.model_uuid in told.data.tags["mlflow.log-model.history"]


@pytest.mark.mlflow3
def test_logged_models_are_found_with_their_metrics(tracking: str, client: MlflowClient, fitted: Any) -> None:
    with mlflow.start_run() as run:
        info = log_model(fitted, name="tree", params={"depth": 3}, model_type="classifier", step=2)
        mlflow.log_metric("acc", 0.9, model_id=info.model_id)
        mlflow.log_metrics({"auc": 0.8}, model_id=info.model_id, step=1)
    model = mlflow.get_logged_model(info.model_id)
    assert model.name == "tree" and model.status == "READY" and model.source_run_id == run.info.run_id
    assert model.params == {"depth": "3"} and model.model_type == "classifier"
    assert {metric.key: metric.value for metric in model.metrics} == {"acc": 0.9, "auc": 0.8}
    assert model.model_uri == f"models:/{info.model_id}"
    assert mlflow.last_logged_model().model_id == info.model_id
    found = mlflow.search_logged_models(
        [tracking], filter_string="metrics.acc > 0.5 AND params.depth = '3'", output_format="list"
    )
    assert [held.model_id for held in found] == [info.model_id]
    assert list(mlflow.search_logged_models([tracking])["model_id"]) == [info.model_id]
    assert [file.path for file in client.list_logged_model_artifacts(info.model_id)] != []


@pytest.mark.mlflow3
def test_a_logged_model_without_files(tracking: str, client: MlflowClient) -> None:
    model = mlflow.create_external_model(name="agent", params={"a": "1"}, tags={"t": "1"})
    told = client.get_logged_model(model.model_id)
    assert told.name == "agent" and told.params == {"a": "1"} and told.tags["t"] == "1" and told.status == "READY"
    client.set_logged_model_tags(model.model_id, {"u": "2"})
    client.delete_logged_model_tag(model.model_id, "t")
    tags = client.get_logged_model(model.model_id).tags
    assert tags["u"] == "2" and "t" not in tags
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1.0, model_id=model.model_id)
        client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(model.model_id, step=4)])
    outputs = client.get_run(run.info.run_id).outputs.model_outputs
    assert (model.model_id, 4) in [(output.model_id, output.step) for output in outputs]
    client.delete_logged_model(model.model_id)
    assert client.search_logged_models([tracking]) == []


@pytest.mark.mlflow3
def test_logged_models_are_made_by_the_client(client: MlflowClient, experiment: str) -> None:
    params = {f"p{i}": str(i) for i in range(250)}  # 100 go with the model, the rest after it
    model = client.create_logged_model(experiment, name="mine", params=params, tags={"a": "b"})
    assert model.status == "PENDING"
    told = client.finalize_logged_model(model.model_id, "READY")
    assert told.status == "READY"
    told = client.get_logged_model(model.model_id)
    assert told.params == params and told.tags == {"a": "b"}
    others = [client.create_logged_model(experiment, name=f"n{i}").model_id for i in range(2)]
    first = client.search_logged_models([experiment], max_results=2)
    second = client.search_logged_models([experiment], max_results=2, page_token=first.token)
    assert [held.model_id for held in first] == others[::-1] and [held.model_id for held in second] == [model.model_id]
    assert second.token is None
    ordered = client.search_logged_models([experiment], order_by=[{"field_name": "name", "ascending": False}])
    assert [held.name for held in ordered] == ["n1", "n0", "mine"]


def test_a_model_is_evaluated(tracking: str, fitted: LogisticRegression) -> None:
    frame = pd.DataFrame(ROWS, columns=["a", "b"]).assign(label=LABELS)
    with mlflow.start_run() as run:
        data = mlflow.data.from_pandas(frame, targets="label", name="eval")
        result = mlflow.models.evaluate(
            model=lambda rows: fitted.predict(rows.to_numpy()),
            data=data,
            model_type="classifier",
            evaluator_config={"log_explainer": False, "log_model_explainability": False},
        )
    told = mlflow.get_run(run.info.run_id)
    assert result.metrics["accuracy_score"] == 1.0 and told.data.metrics["accuracy_score"] == 1.0
    assert [held.dataset.name for held in told.inputs.dataset_inputs] == ["eval"]
    assert any("confusion" in file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id))


@pytest.mark.better_than_mlflow
def test_a_model_that_penstock_trained_is_downloaded(
    tracking: str, client: MlflowClient, request: pytest.FixtureRequest, name: str, tmp_path: Path
) -> None:
    python = str(Path(request.config.getoption("--server-python")).absolute())
    command = [python, str(Path(__file__).with_name("own_model.py")), mlflow.get_tracking_uri(), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = json.loads(done.stdout)
    model = f"{name} ünd more"
    client.rename_registered_model(name, model)
    place = client.get_model_version_download_uri(model, "1")
    assert place.startswith("mlflow-artifacts:/model-versions/")
    for number, uri in enumerate((place, f"models:/{model}/1", f"models:/{model}@champion")):
        target = tmp_path / str(number)
        target.mkdir()
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        assert {path: sizes.get(path) for path in kept} == kept
    assert mlflow.models.get_model_info(f"models:/{model}/1").signature is not None
