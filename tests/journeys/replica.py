"""A server process among several on one database and one object store, each with a home folder of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from patience import PATIENCE_S, wait_until

PROJECT = '[project]\nname = "shop"\ntask = "binary"\n'


class Replica:
    """One of several servers.

    Args:
        folder: of this server alone.
        database: the URL that all of them have.
        objects: the folder that all of them have.
    """

    def __init__(self, folder: Path, *, database: str, objects: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "penstock.toml").write_text(PROJECT)
        self.folder = folder
        self._environment = {"PENSTOCK_DATABASE": database, "PENSTOCK_OBJECTS": str(objects)}
        self._port = 0
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """Where its lock, its log and its audit checkpoints are."""
        return self.folder / ".penstock"

    def start(self) -> None:
        """Start the process, on the port it had before; `wait` says when it answers."""
        argv = [sys.executable, "-m", "penstock.processes.server", "--folder", str(self.folder)]
        with socket.create_server(("127.0.0.1", self._port)) as listener, open(self.folder / "log", "ab") as log:
            descriptor = listener.fileno()
            self._port = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self._port}"
            self._process = subprocess.Popen(
                [*argv, "--fd", str(descriptor)],
                env=os.environ | self._environment,
                pass_fds=[descriptor],
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(lambda: self._is_healthy(), what=f"{self.folder.name} answers: {self.log[-2000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "log").read_text()

    def call(self, client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request, with JSON."""
        return client.request(method, f"{self.url}{path}", json=body, timeout=PATIENCE_S)

    def _is_healthy(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
