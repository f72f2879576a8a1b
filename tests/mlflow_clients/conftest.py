"""A server to talk to, and an unmodified MLflow client that talks to it.

The server is penstock, started from the project's own environment, or whatever answers at `--server-url`: MLflow's
own server too, which is how the expectations of these suites are checked.
"""
# mlflow reads its settings when it is imported

import os

# A 5xx shows at once instead of after minutes of retries; what a model needs is looked up, not tried out for seconds.
os.environ.update(
    MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT="1",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
    MLFLOW_HTTP_REQUEST_TIMEOUT="300",
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
    GIT_PYTHON_REFRESH="quiet",
    MPLBACKEND="agg",
    OMP_NUM_THREADS="1",  # threads that wait for each other spin, on what the server needs
)

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import mlflow
import pytest
from mlflow import MlflowClient
from rest import Api
from server_process import start_server

pytest_plugins = ["own_folder"]
IS_CLIENT_3 = int(mlflow.__version__.partition(".")[0]) >= 3
if not IS_CLIENT_3:
    # The bare protocol is the same whichever client is installed: the other environment looks at it.
    collect_ignore_glob = ["test_rest_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server-url", help="a tracking server that is running already, MLflow's own for one")
    parser.addoption(
        "--server-python",
        default=os.environ.get("PENSTOCK_PYTHON", ".venv/bin/python"),
        help="the Python of the environment that penstock is installed in",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if config.getoption("--server-url") and item.get_closest_marker("better_than_mlflow"):
            item.add_marker(pytest.mark.skip(reason="MLflow's own server does not do this"))
        if not IS_CLIENT_3 and item.get_closest_marker("mlflow3"):
            item.add_marker(pytest.mark.skip(reason="the client is older than what is tested"))


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server under test."""
    given = request.config.getoption("--server-url")
    if given:
        yield given.rstrip("/")
        return
    with start_server(request.config.getoption("--server-python"), tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def api(server_url: str) -> Iterator[Api]:
    """The bare protocol."""
    with Api(server_url) as api:
        yield api


@pytest.fixture
def client(server_url: str) -> MlflowClient:
    mlflow.set_tracking_uri(server_url)  # where clients before 3.0 look for artifacts, whatever they were made with
    return MlflowClient(server_url, server_url)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that nothing on the server has yet."""
    return f"{request.node.originalname[:40]}-{uuid4().hex[:8]}"


@pytest.fixture
def experiment(client: MlflowClient, name: str) -> str:
    """The id of a new experiment."""
    return client.create_experiment(name)


@pytest.fixture
def run(client: MlflowClient, experiment: str) -> str:
    """The id of a new run in `experiment`."""
    return client.create_run(experiment).info.run_id


@pytest.fixture
def tracking(server_url: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The fluent API, set up for the server and `experiment`; gives the id of the experiment."""
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(server_url)
    mlflow.set_registry_uri(server_url)
    mlflow.set_experiment(experiment_id=experiment)
    yield experiment
    while mlflow.active_run() is not None:
        mlflow.end_run()
