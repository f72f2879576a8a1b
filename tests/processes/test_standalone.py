"""`penstock server`: a real process that needs no project."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import penstock
import warm_python
from patience import PATIENCE_S, wait_until
from penstock.sdk.connect import connect
from penstock.storage.objects.collection.packing import FEWEST
from penstock.storage.objects.open import open_object_store
from s3_server import S3Server

DAY = timedelta(days=1)
HEAVY = ("polars", "scipy", "sklearn", "pandas", "skops", "joblib", "httpx", "rich", "pyarrow", "alembic")
HEAVY += ("sqlalchemy.dialects.postgresql",)
MOST_IDLE_BYTES = 150 * 1024 * 1024


Process = subprocess.Popen[str] | warm_python.Process


def start(arguments: list[object]) -> Process:
    return warm_python.Process(["-m", "penstock", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def start_fresh(arguments: list[object]) -> Process:
    """As a user does."""
    argv = [sys.executable, "-m", "penstock", *map(str, arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)


@contextmanager
def running(
    home: Path, *options: object, start: Callable[[list[object]], Process] = start
) -> Iterator[tuple[str, Process]]:
    """A server on a free port, and its process; it is stopped at the end, cleanly."""
    with start(["server", "--home", home, "--port", 0, "--json", *options]) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        try:
            yield json.loads(line)["url"], process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE_S) == 0


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return warm_python.run(["-m", "penstock", *arguments], timeout=PATIENCE_S)


def pss_of(process: Process) -> int:
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return 1024 * int(text.partition("\nPss:")[2].split()[0])


def test_it_answers_when_it_says_so_and_keeps_everything_at_home(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with running(home, start=start_fresh) as (url, process):
        assert httpx.get(f"{url}/health").text == "OK"
        assert httpx.get(f"{url}/version").status_code == 200
        assert httpx.post(f"{url}/api/v1/runs", json={"experiment": "first"}).status_code == 200
        time.sleep(0.5)
        assert pss_of(process) < MOST_IDLE_BYTES
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert (home / "owner.token").stat().st_mode & 0o077 == 0
    with running(home) as (url, _):
        assert len(httpx.get(f"{url}/api/v1/runs").json()) == 1


def test_what_is_said_otherwise_is_kept_elsewhere(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'other.db'}"
    with running(tmp_path / "home", "--database", database, "--objects", tmp_path / "objects"):
        pass
    assert (tmp_path / "other.db").exists() and not (tmp_path / "home" / "penstock.db").exists()


def test_what_is_kept_one_by_one_is_packed_while_it_is_served(tmp_path: Path) -> None:
    objects = open_object_store(tmp_path / "home" / "objects")
    kept = {objects.put_bytes(b"%d" % number): b"%d" % number for number in range(FEWEST)}
    with running(tmp_path / "home") as (url, _):
        services = connect(url)
        deadline = time.monotonic() + PATIENCE_S
        while any(objects.blobs.list_keys("loose/")):
            assert time.monotonic() < deadline
            assert all(services.objects.get_bytes(digest) == kept[digest] for digest in list(kept)[:5])
        assert {digest: services.objects.get_bytes(digest) for digest in kept} == kept
        services.close()


def test_people_are_told_what_to_do(tmp_path: Path) -> None:
    with start_fresh(["server", "--home", tmp_path / "home", "--port", 0]) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_S) == 0
        lines += process.stdout.readlines()
    text = "".join(lines)
    assert "ready at http://127.0.0.1:" in lines[0] and "export MLFLOW_TRACKING_URI=http://127.0.0.1:" in text
    assert str(tmp_path / "home") in text and "Ctrl-C" in text and lines[-1] == "stopped\n"


def test_nothing_is_imported_that_a_server_does_not_need() -> None:
    code = f"import sys, penstock.cli.main, penstock.cli.server; print([n for n in {HEAVY} if n in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_home_has_one_server(tmp_path: Path) -> None:
    with running(tmp_path / "home") as (_, process):
        said = run("server", "--home", tmp_path / "home", "--port", 0)
        assert (
            said.returncode == 1 and f"runs already (process {process.pid})" in said.stderr and "--home" in said.stderr
        )


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run("server", "--home", tmp_path / "home", "--port", port)
    assert said.returncode == 1 and f"127.0.0.1:{port}" in said.stderr and "--port" in said.stderr


REFUSED = {
    "a file for a home": (["--home", "{file}"], "--home"),
    "a home below a file": (["--home", "{file}/home"], "--home"),
    "no URL of a database": (["--database", "what"], "names no database"),
    "an unknown database": (["--database", "oracle3://x"], "names no database"),
    "an unknown object store": (["--objects", "ftp://x/y"], "names no object store"),
    "a bucket without a name": (["--objects", "s3:///x"], "s3://BUCKET/PREFIX"),
    "a port that is none": (["--port", "99999"], "--port"),
    "open to all": (["--host", "0.0.0.0"], "tokens create"),
    "no such token file": (["--token-file", "{file}x"], "there is no"),
    "an empty token file": (["--token-file", "{file}"], "holds no token"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_the_way_out(case: str, tmp_path: Path) -> None:
    options, told = REFUSED[case]
    (tmp_path / "file").touch()
    given = [option.replace("{file}", str(tmp_path / "file")) for option in options]
    base = [] if "--home" in given else ["--home", tmp_path / "home"]
    base += [] if "--port" in given else ["--port", 0]
    said = run("server", *base, *given)
    assert said.returncode == 1 and told in said.stderr and "Traceback" not in said.stderr
    assert said.stdout == ""


def test_a_team_gets_in_with_tokens_and_nobody_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    made = json.loads(run("tokens", "create", "ada", "--role", "admin", "--home", home, "--json").stdout)
    with ExitStack() as stack:
        url, _ = stack.enter_context(running(home, "--host", "0.0.0.0"))
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/api/v1/runs").status_code == 401
        headers = {"authorization": f"Bearer {made['secret']}"}
        assert httpx.get(f"{url}/api/v1/runs", headers=headers).status_code == 200
        # A command on the same machine goes through the server with the home's own token.
        assert [token["name"] for token in json.loads(run("tokens", "list", "--home", home, "--json").stdout)] == [
            "ada"
        ]
        assert run("tokens", "revoke", "ada", "--home", home).returncode == 0
        time.sleep(1)
        assert httpx.get(f"{url}/api/v1/runs", headers=headers).status_code == 401


def test_the_token_of_a_file_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a long secret\n")
    with running(tmp_path / "home", "--token-file", tmp_path / "token") as (url, _):
        assert httpx.get(f"{url}/api/v1/runs").status_code == 401
        assert httpx.get(f"{url}/api/v1/runs", auth=("anybody", "a long secret")).status_code == 200


def test_artifacts_and_datasets_may_lie_in_a_bucket(tmp_path: Path, s3: S3Server) -> None:
    bucket = f"{s3.new_bucket()}/team"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x,y\n1,2\n" * 50_000)
    with running(tmp_path / "home", "--objects", bucket) as (url, _):
        services = connect(url)
        tree = services.objects.put_tree(tmp_path / "data")
        small = services.objects.put_bytes(b"small")
        run_id = httpx.post(f"{url}/api/v1/runs", json={"experiment": "first"}).json()["id"]
        body = b"artifact " * 300_000
        artifact = f"{url}/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/deep/model.bin"
        assert httpx.put(artifact, content=body).status_code == 200
        assert httpx.get(artifact).content == body
        services.close()
    assert not (tmp_path / "home" / "objects").exists()
    with running(tmp_path / "home", "--objects", bucket) as (url, _):
        services = connect(url)
        services.objects.checkout(tree, tmp_path / "out")
        assert services.objects.get_bytes(small) == b"small"
        assert httpx.get(artifact.replace(artifact.partition("/api")[0], url)).content == body
        services.close()
    assert (tmp_path / "out" / "a.csv").read_bytes() == (tmp_path / "data" / "a.csv").read_bytes()
    assert open_object_store(bucket).verify([tree, small]).passed


def test_a_bucket_that_is_not_there_is_told_at_the_start(tmp_path: Path, s3: S3Server) -> None:
    said = run("server", "--home", tmp_path / "home", "--port", 0, "--objects", "s3://no-such-bucket/x")
    assert said.returncode == 1 and "there is no bucket for s3://no-such-bucket/x" in said.stderr


def test_it_watches_models_that_are_served_elsewhere(tmp_path: Path) -> None:
    count = 50
    with running(tmp_path / "home") as (url, _), contextlib.closing(connect(url)) as services:
        for number in range(3):
            rows = {
                "id": [f"{number}-{row}" for row in range(count)],
                "at": [datetime(2025, 3, 3, tzinfo=UTC) + number * DAY + row * DAY / count for row in range(count)],
                "income": [50.0 + row % 7 for row in range(count)],
                "score": [0.8 if row % 3 else 0.2 for row in range(count)],
            }
            penstock.monitor.log(rows, "loans", task="binary", score="score", time="at", id="id", services=services)
        known = {"id": rows["id"], "bad": [1] * count, "at": rows["at"]}
        penstock.monitor.outcomes(known, "loans", entity="id", value="bad", time="at", services=services)
        curves = wait_until(lambda: services.monitoring.get_label_delay("loans"), every_s=0.1)
        found = services.monitoring.list_windows("loans")
        assert [(window.rows, window.version) for window in found] == [(count, 1)] * 2
        assert curves[0].predictions == 2 * count
