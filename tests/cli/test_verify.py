"""`penstock verify` and `penstock audit` of a server's home folder, which belongs to no project."""

from pathlib import Path

import httpx
import pytest

from cli.conftest import Penstock
from sdk.spool.servers import Server


@pytest.fixture
def home(nowhere: Path) -> Path:
    """The home of a server that was killed after a client had stored a file there."""
    server = Server(nowhere / "home")
    server.start()
    made = httpx.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/shared/a.txt", content=b"hello", trust_env=False)
    assert made.status_code == 200
    run = httpx.post(f"{server.url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, trust_env=False)
    assert run.status_code == 200
    server.kill()
    return server.home


@pytest.mark.slow
def test_a_home_is_read_whether_its_server_runs_or_not(penstock: Penstock, home: Path) -> None:
    stopped = penstock("verify", "--home", str(home), "--json").json
    assert (stopped["objects"]["objects"], stopped["audit"]["problems"]) == (1, [])
    server = Server(home)
    server.start()
    try:
        assert penstock("verify", "--home", str(home), "--json").json == stopped
        assert penstock("verify", "--url", server.url, "--json").json == stopped
    finally:
        server.kill()
    assert penstock("audit", "verify", "--home", str(home)).code == 0
    (event,) = penstock("audit", "list", "--home", str(home), "--action", "tracking.create_run", "--json").json
    assert event["action"] == "tracking.create_run"


def test_a_damaged_object_is_named(penstock: Penstock, home: Path) -> None:
    (stored,) = (path for path in (home / "objects" / "loose").rglob("*") if path.is_file())
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    said = penstock("verify", "--home", str(home))
    assert said.code == 1
    assert stored.name in said.out


def test_a_folder_that_is_not_there_is_named(penstock: Penstock, nowhere: Path) -> None:
    said = penstock("verify", "--home", str(nowhere / "none"))
    assert said.code == 1
    assert "there is no folder" in said.err
    assert not (nowhere / "none").exists()


def test_a_folder_without_a_database_is_not_called_whole(penstock: Penstock, nowhere: Path) -> None:
    for command in (["verify"], ["audit", "verify"], ["audit", "list"]):
        said = penstock(*command, "--home", str(nowhere))
        assert said.code == 1
        assert "there is no database in" in said.err
    assert list(nowhere.iterdir()) == []


def test_what_is_damaged_is_mended_from_a_remote(penstock: Penstock, project: Path) -> None:
    penstock("data", "add")
    penstock("data", "push", "--everything", "--remote", "../copy")
    before = penstock("verify", "--repair", "../copy")
    assert before.code == 0 and "whole" in before.out and "brought back" not in before.out
    objects = project / ".penstock" / "objects"
    for path in [path for path in objects.rglob("*") if path.is_file() and path.suffix in ("", ".pack")]:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-3] + b"bad")
    assert penstock("verify").code == 1
    assert penstock("verify", "--repair", "here").code == 1
    mended = penstock("verify", "--repair", "../copy")
    assert mended.code == 0, mended.out + mended.err
    assert "whole" in mended.out and list((objects / "aside").rglob("*.pack"))
    assert penstock("verify", "--json").json["objects"]["problems"] == []
    refused = penstock("verify", "--repair", "ftp://x")
    assert refused.code == 1 and "names no object store" in refused.err
