"""`penstock import mlflow` of real stores: afterwards a client sees on penstock what it saw on MLflow."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import sqlalchemy.pool
from import_world import IS_CLIENT_3, MODEL, fill, look
from mlflow import MlflowClient
from server_process import start_server, start_source

_GONE = "FallbackAsyncAdaptedQueuePool"  # MLflow 2 imports it and does not use it
pytestmark = [pytest.mark.better_than_mlflow, pytest.mark.timeout(1_200)]


@pytest.fixture
def python(request: pytest.FixtureRequest) -> str:
    """Of the environment that penstock is installed in."""
    return str(Path(request.config.getoption("--server-python")).absolute())


@contextmanager
def open_store(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MlflowClient, str]]:
    """An empty store of MLflow, with a client of it, and what an import calls it."""
    monkeypatch.chdir(folder)  # where clients put artifacts when they are not told
    if not IS_CLIENT_3 and not hasattr(sqlalchemy.pool, _GONE):
        if kind == "server":
            pytest.skip("the database of this MLflow server needs an older SQLAlchemy than its environment has")
        monkeypatch.setattr(sqlalchemy.pool, _GONE, sqlalchemy.pool.AsyncAdaptedQueuePool, raising=False)
    if kind == "server":
        with start_source(folder) as url:
            yield MlflowClient(url, url), url
        return
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place = f"sqlite:///{folder}/mlflow.db" if kind == "database" else f"file:{folder}/mlruns"
    yield MlflowClient(place, place), place.removeprefix("sqlite:///").removeprefix("file:")


def speak_to(place: str) -> None:
    """What the fluent API works on; the fixture of the next test sets it anew."""
    mlflow.set_tracking_uri(place)
    mlflow.set_registry_uri(place)


def import_mlflow(python: str, source: str, into: str, *more: str) -> dict[str, Any]:
    command = [python, "-m", "penstock", "import", "mlflow", source, "--into", into, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)["report"]
    return report


@pytest.mark.parametrize("kind", ["database", "folder", "server"])
def test_a_client_sees_what_it_saw(kind: str, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, runs = tmp_path / "store", 6 if kind == "server" else 12  # theirs answers slowly
    store.mkdir()
    with open_store(kind, store, monkeypatch) as (client, place):
        speak_to(client.tracking_uri)
        fill(client, tmp_path, runs=runs)
        before = look(client, tmp_path / "before")
        report = import_mlflow(python, place, str(tmp_path / "home"))
        again = import_mlflow(python, place, str(tmp_path / "home"))
    assert report["differences"] == [] and again["differences"] == []
    assert report["skipped"] == []
    assert sum(each["taken"] for each in report["experiments"]) == runs + 1
    assert sum(each["taken"] for each in again["experiments"]) == 0
    assert len(report["running"]) == runs // 5
    with start_server(python, tmp_path) as url:
        client = MlflowClient(url, url)
        speak_to(url)
        after = look(client, tmp_path / "after")
        assert after.keys() == before.keys()
        for name, told in before.items():
            assert after[name] == told, name
        model = Path(
            mlflow.artifacts.download_artifacts(f"models:/{MODEL}@champion", dst_path=str(tmp_path / "model2"))
        )
        assert (model / "weights.bin").read_bytes() == bytes(range(256)) * 5_000
        assert client.create_model_version(MODEL, f"models:/{MODEL}/2").version == ("6" if IS_CLIENT_3 else "5")


@contextmanager
def open_postgres(python: str, file: Path) -> Iterator[list[str]]:
    """A copy of a SQLite database on PostgreSQL, and an empty database: their URLs."""
    command = [python, str(Path(__file__).with_name("postgres_copy.py")), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as copying:
        assert copying.stdin is not None and copying.stdout is not None and copying.stderr is not None
        line = copying.stdout.readline()
        if not line:
            told = copying.stderr.read().decode()
            assert "is not installed" in told, told
            pytest.skip(told.splitlines()[-1])
        yield json.loads(line)
        copying.stdin.close()


def test_from_postgresql_to_postgresql(python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store("database", tmp_path, monkeypatch) as (client, place):
        speak_to(client.tracking_uri)
        fill(client, tmp_path)
        before = look(client, tmp_path / "before")
    with (
        open_postgres(python, Path(place)) as (source, target),
        start_server(python, tmp_path, "--database", target) as url,
    ):
        report = import_mlflow(python, source, url)
        again = import_mlflow(python, source, url)
        assert report["differences"] == [] and report["skipped"] == []
        assert sum(each["taken"] for each in again["experiments"]) == 0
        speak_to(url)
        assert look(MlflowClient(url, url), tmp_path / "after") == before
