"""`penstock serve`: a real process that serves one model, without a project."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
import pytest

import warm_python
from patience import PATIENCE_S
from penstock.cli.main import run
from serving.models import make_logistic, write_model

ROWS = {"instances": [[20, 1], [70, 2]]}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("PENSTOCK_", "AIP_", "SAGEMAKER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(make_logistic(), tmp_path / "churn", "binary")
    return tmp_path / "churn"


@contextmanager
def running(*arguments: object, **environment: str) -> Iterator[str]:
    """A served model; it is stopped at the end, cleanly."""
    argv = ["-m", "penstock", "serve", *arguments, "--json"]
    environment = {**os.environ, **environment}
    with warm_python.Process(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        try:
            yield json.loads(line)["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE_S) == 0


def test_a_directory_is_served_in_every_protocol(model: Path, tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = str(held.getsockname()[1])
    kept = tmp_path / "log"
    with running(model, "--name", "mine", "--log", kept, AIP_HTTP_PORT=port) as url:
        assert url.endswith(f":{port}")  # a platform says where to listen
        for path, body in [
            ("/invocations", ROWS),
            ("/v1/models/mine:predict", ROWS),
            ("/predict/mine", {"rows": [{"age": 20, "visits": 1}, {"age": 70, "visits": 2}]}),
        ]:
            answer = httpx.post(url + path, json=body)
            assert [row["prediction"] for row in answer.json()["predictions"]] == [0, 1]
        matrix = {"name": "x", "shape": [2, 2], "datatype": "INT64", "data": [20, 1, 70, 2]}
        answer = httpx.post(f"{url}/v2/models/mine/infer", json={"inputs": [matrix]})
        assert answer.json()["outputs"][0]["data"] == [0, 1]
        assert httpx.get(f"{url}/ping").status_code == httpx.get(f"{url}/v2/health/ready").status_code == 200
    rows = pl.concat([pl.read_parquet(path) for path in kept.glob("*.parquet")])
    assert rows.height == 8
    assert json.loads(rows["inputs"][0]) == {"age": 20.0, "visits": 1}
    assert not list(kept.glob("segments/*.closed"))


def test_a_token_is_asked_for_and_nothing_is_left_behind(model: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with running(model, "--port", 0, "--token-file", tmp_path / "token") as url:
        assert httpx.post(f"{url}/invocations", json=ROWS).status_code == 401
        shown = {"authorization": "Bearer secret"}
        assert httpx.post(f"{url}/invocations", json=ROWS, headers=shown).status_code == 200
        assert httpx.get(f"{url}/ping").status_code == 200
    assert {path.name for path in tmp_path.iterdir()} == {"churn", "token"}


def test_what_cannot_be_served_is_refused_by_name(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object) -> str:
        assert run(["serve", *map(str, arguments)]) == 1
        return capsys.readouterr().err

    assert f"there is no model directory {tmp_path / 'nothing'}" in refuse(tmp_path / "nothing")
    assert "has no MLmodel file" in refuse(tmp_path)
    assert "would let anyone on the network in" in refuse(model, "--host", "0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot listen on" in refuse(model, "--port", taken.getsockname()[1])
    golden = model / "penstock" / "golden.json"
    golden.write_text(golden.read_text().replace('"prediction":[0', '"prediction":[1'))
    assert "no longer answers as it did" in refuse(model, "--port", 0)


def test_what_is_decided_without_a_project_is_kept_beside_the_model(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "trust", str(model), "--reason", "its code was read", "--json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert (decision["trusted"], decision["reason"]) == (True, "its code was read")
    assert (tmp_path / ".penstock" / "penstock.db").is_file()
    assert run(["models", "sign", str(model)]) == run(["models", "verify", str(model)]) == 0
    with open(model / "requirements.txt", "a") as file:
        file.write("\n")
    assert run(["models", "verify", str(model)]) == 1
    assert "requirements.txt was changed" in capsys.readouterr().err
