"""Starts penstock as its users do, in a process of its own and in a folder of its own; and a server to move from."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

START_S = 300.0  # the first start of an environment compiles it


@contextmanager
def start_server(python: str, folder: Path, *options: str) -> Iterator[str]:
    """A server that keeps everything below a folder; gives its address.

    Args:
        python: of the environment that penstock is installed in.
        folder: for its home and its log.
        options: more of them, as on the command line.
    """
    port = _find_port()
    command = [python, "-m", "penstock", "server", "--home", str(folder / "home"), "--port", str(port), *options]
    with _run(command, folder, port) as url:
        yield url


@contextmanager
def start_source(folder: Path) -> Iterator[str]:
    """MLflow's own server, of the environment that the tests run in; gives its address."""
    port = _find_port()
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *store]
    with _run(command, folder, port, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as url:
        yield url


@contextmanager
def _run(command: list[str], folder: Path, port: int, **more: str) -> Iterator[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PENSTOCK_"))}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=kept | more, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process, folder / "server.log")
            yield url
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # MLflow's server is several processes
            process.wait(timeout=START_S)


def _find_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
