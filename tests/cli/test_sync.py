"""`penstock sync` delivers what a machine without a network collected, and says what became of it."""

import json
import subprocess
from pathlib import Path

import pytest

import warm_python
from patience import PATIENCE_S
from penstock.core.ids import RunId
from penstock.remote.remote import open_remote
from penstock.sdk.spool.folder import list_spools
from sdk.spool.servers import Server, start_client

NOWHERE = "http://127.0.0.1:9"


def sync(*arguments: str) -> subprocess.CompletedProcess[str]:
    return warm_python.run(["-m", "penstock", "sync", *arguments], timeout=PATIENCE_S)


@pytest.mark.slow
def test_a_copied_folder_is_delivered_to_the_server_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    collected = tmp_path / "elsewhere"
    code = "run = ps.start_run('field')\nrun.log(loss=1.0)\nprint(run.id)\nrun.end(wait_s=0.0)"
    out, err = start_client(code, PENSTOCK_URL=NOWHERE, PENSTOCK_SPOOL=str(collected)).communicate(timeout=PATIENCE_S)
    assert "'penstock sync' delivers them" in err
    failed = sync(str(collected))
    assert failed.returncode == 1
    assert f"no penstock server answers at {NOWHERE}" in failed.stdout
    server = Server(tmp_path / "home")
    server.start()
    try:
        done = sync(str(collected), "--url", server.url, "--json")
        assert done.returncode == 0, done.stderr
        (spool,) = json.loads(done.stdout)["spools"]
        assert (spool["state"], spool["delivered"], spool["refused"]) == ("delivered", 3, 0)
        services = open_remote(server.url)
        assert services.tracking.get_run(RunId(out.strip())).metrics["loss"].number == 1.0
        services.close()
    finally:
        server.kill()
    assert list(list_spools(collected)) == []
    assert "nothing waits" in sync(str(collected)).stdout


def test_what_is_no_folder_or_url_is_named(tmp_path: Path) -> None:
    assert "there is no folder" in sync(str(tmp_path / "none")).stderr
    assert "is no URL" in sync("--url", "tracker:5151").stderr
