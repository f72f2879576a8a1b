"""The command line of MLflow's client, within this process: a new one takes seconds to import everything."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import cli

Run = Callable[..., str]


@pytest.fixture
def mlflow_cli(tracking: str, server_url: str) -> Run:
    """Runs `mlflow ...` and gives what it prints."""

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, arguments, env={"MLFLOW_TRACKING_URI": server_url}, catch_exceptions=False)
        assert done.exit_code == 0, done.output[-2000:]
        return done.output

    return run


def test_experiments(mlflow_cli: Run, client: MlflowClient, name: str, tmp_path: Path) -> None:
    name = f"{name}-cli"
    mlflow_cli("experiments", "create", "-n", name)
    experiment = client.get_experiment_by_name(name).experiment_id
    assert name in mlflow_cli("experiments", "search", "--view", "all")
    mlflow_cli("experiments", "rename", "--experiment-id", experiment, "--new-name", f"{name}-2")
    mlflow_cli("experiments", "delete", "-x", experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    mlflow_cli("experiments", "restore", "-x", experiment)
    told = client.get_experiment(experiment)
    assert told.lifecycle_stage == "active" and told.name == f"{name}-2"
    run = client.create_run(experiment, run_name="by hand").info.run_id
    client.log_metric(run, "m", 1.5)
    mlflow_cli("experiments", "csv", "-x", experiment, "-o", "runs.csv")
    with (tmp_path / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run_id"], row["metrics.m"]) for row in rows] == [(run, "1.5")]


def test_runs_and_artifacts(mlflow_cli: Run, client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    run = client.create_run(experiment, run_name="by hand").info.run_id
    assert run in mlflow_cli("runs", "list", "--experiment-id", experiment)
    assert run in mlflow_cli("runs", "describe", "--run-id", run)
    (tmp_path / "a.txt").write_text("0")
    mlflow_cli("artifacts", "log-artifact", "--local-file", "a.txt", "--run-id", run, "--artifact-path", "dir")
    assert "dir/a.txt" in mlflow_cli("artifacts", "list", "--run-id", run, "--artifact-path", "dir")
    where = mlflow_cli("artifacts", "download", "--run-id", run, "--artifact-path", "dir").strip().splitlines()[-1]
    assert (Path(where) / "a.txt").read_text() == "0"
    mlflow_cli("runs", "delete", "--run-id", run)
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    mlflow_cli("runs", "restore", "--run-id", run)
    assert client.get_run(run).info.lifecycle_stage == "active"
