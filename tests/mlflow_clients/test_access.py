"""A server that asks for a token, and how MLflow's clients show one."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from server_process import start_server

TOKEN = "a-token-of-thirty-two-characters"
pytestmark = pytest.mark.better_than_mlflow


@pytest.fixture(scope="module")
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that asks for `TOKEN`."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(TOKEN)
    python = request.config.getoption("--server-python")
    with start_server(python, folder, "--token-file", str(folder / "token")) as url:
        yield url


def test_a_client_without_a_token_is_told_so(guarded: str) -> None:
    answer = requests.post(f"{guarded}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]}, timeout=300)
    assert answer.status_code == 401 and answer.json()["error_code"] == "UNAUTHENTICATED"
    with pytest.raises(MlflowException):
        MlflowClient(guarded).get_experiment("0")
    assert requests.get(f"{guarded}/health", timeout=300).status_code == 200


@pytest.mark.parametrize(
    "variables",
    [{"MLFLOW_TRACKING_TOKEN": TOKEN}, {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": TOKEN}],
)
def test_a_token_lets_a_client_in(
    guarded: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    mlflow.set_tracking_uri(guarded)
    client = MlflowClient(guarded, guarded)
    run = client.create_run(client.create_experiment(name)).info.run_id
    client.log_metric(run, "m", 1)
    client.log_text(run, "text", "notes.txt")
    assert mlflow.artifacts.load_text(f"{client.get_run(run).info.artifact_uri}/notes.txt") == "text"
    client.create_registered_model(name)


def test_a_wrong_token_is_refused(guarded: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN[:-1] + "x")
    with pytest.raises(MlflowException):
        MlflowClient(guarded).get_experiment("0")
