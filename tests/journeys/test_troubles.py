"""What goes wrong for everybody once: each says what is wrong and what to do."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from journeys.own_project import COMMAND, OwnProject
from patience import PATIENCE_S, wait_until


def refused(project: OwnProject, *arguments: str, **environment: str) -> str:
    """What a command says on its way to exit code 1."""
    done = project.run(*arguments, check=False, **environment)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: ")
    return done.stderr


def test_a_port_that_is_taken_is_named_with_its_option(trained: OwnProject) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        told = refused(trained, "up", "--port", port, "--gateway-port", "0")
        assert f"the server cannot listen on 127.0.0.1:{port}: Address already in use" in told
        assert "--port" in told
        told = refused(trained, "up", "--port", "0", "--gateway-port", port)
        assert f"the gateway cannot listen on 127.0.0.1:{port}: Address already in use" in told
        assert "--gateway-port" in told
    assert trained.processes() == {}


@pytest.mark.slow
def test_a_second_up_names_the_first(trained: OwnProject) -> None:
    trained.start()
    assert trained.up is not None
    told = refused(trained, "up")
    assert f"this project is up already at {trained.url} (process {trained.up.pid})" in told
    assert "penstock stop" in told
    assert trained.predict([{"age": 40, "calls": 2, "plan": "basic"}]).status_code in (200, 503)


def test_being_open_to_the_network_needs_a_token(trained: OwnProject) -> None:
    told = refused(trained, "up", "--host", "0.0.0.0", "--port", "0", "--gateway-port", "0")
    assert "would let anyone on the network in" in told
    assert "PENSTOCK_TOKEN" in told


@pytest.mark.slow
def test_with_a_token_nobody_gets_in_without_it(trained: OwnProject) -> None:
    trained.start(PENSTOCK_TOKEN="a secret of ours")
    assert httpx.get(f"{trained.url}/api/v1/runs").status_code == 401
    assert "6 of 7 stages hold" in trained.run("status").stdout  # whoever may read the home folder is its owner
    assert "6 of 7 stages hold" in trained.run("status", PENSTOCK_TOKEN="a secret of ours").stdout
    assert "this token is not good here" in refused(trained, "status", PENSTOCK_TOKEN="another")
    logs = "".join(path.read_text() for path in (trained.home / "logs").iterdir())
    assert "a secret of ours" not in logs


def test_a_broken_project_file_is_told_with_every_mistake(trained: OwnProject) -> None:
    file = trained.folder / "penstock.toml"
    text = file.read_text()
    file.write_text(text.replace("min_requests", "min_request").replace('window = "1d"', 'window = "1 day"'))
    for command in ("up", "run", "status"):
        told = refused(trained, command)
        assert "did you mean 'min_requests'?" in told
        assert "'1 day'" in told
        assert "penstock.toml:" in told
    file.write_text(text + "\n[[[")
    assert "penstock.toml" in refused(trained, "up")


@pytest.mark.slow
def test_a_project_file_that_breaks_while_up_is_told_until_it_is_mended(trained: OwnProject) -> None:
    trained.start()
    file = trained.folder / "penstock.toml"
    text = file.read_text()
    file.write_text("[project]\n")
    os.kill(trained.processes()["server"], signal.SIGKILL)
    log = trained.home / "logs" / "server.log"
    wait_until(lambda: "penstock.toml has 2 mistakes" in log.read_text())
    assert "Traceback" not in log.read_text()
    file.write_text(text)
    assert "version 1 answers" in trained.run("status").stdout


@pytest.mark.slow
def test_a_data_file_that_is_missing_fails_the_run_and_is_named(trained: OwnProject) -> None:
    (trained.folder / "data" / "customers.csv").unlink()
    done = trained.run("run", check=False)
    assert done.returncode == 1
    assert "data/customers.csv" in done.stdout
    assert "data/customers.csv" in refused(trained, "data", "add")


@pytest.mark.slow
def test_code_that_fails_is_shown_with_its_line(trained: OwnProject) -> None:
    file = trained.folder / "pipeline.py"
    text = file.read_text()
    file.write_text(text.replace("    cut = round(", "    cut = 1 / 0 + round("))
    done = trained.run("run", check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    file.write_text("import nothing_like_this\n" + text)
    done = trained.run("run", check=False)
    assert done.returncode == 1
    assert "nothing_like_this" in done.stdout
    file.write_text(text)
    assert trained.run("run", "--param", "learning_rate=0.3", check=False).stdout.startswith("episode 4")


def test_a_model_server_that_is_not_up_is_told(trained: OwnProject) -> None:
    assert "penstock up" in refused(trained, "predict", "--sample")
    assert "nothing is up" in refused(trained, "stop")


@pytest.mark.slow
def test_ctrl_c_while_it_starts_leaves_nothing_behind(trained: OwnProject) -> None:
    argv = [*COMMAND, "up", "--port", "0", "--gateway-port", "0"]
    up = subprocess.Popen(argv, cwd=trained.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: len(trained.processes()) == 3)
    up.send_signal(signal.SIGINT)
    _, told = up.communicate(timeout=PATIENCE_S)
    assert (up.returncode, told) == (0, b"")
    assert trained.processes() == {}


def test_a_home_that_cannot_be_written_says_so(trained: OwnProject) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    trained.home.chmod(0o500)
    try:
        assert ".penstock" in refused(trained, "up", "--port", "0", "--gateway-port", "0")
    finally:
        trained.home.chmod(0o700)


@pytest.mark.slow
def test_a_project_that_was_moved_goes_on(trained: OwnProject, tmp_path: Path) -> None:
    shutil.move(trained.folder, tmp_path / "elsewhere")
    moved = OwnProject(tmp_path / "elsewhere")
    moved.start()
    wait_until(lambda: moved.predict([{"age": 40, "calls": 2, "plan": "basic"}]).is_success)
    moved.stop()
    assert moved.run("verify").returncode == 0
