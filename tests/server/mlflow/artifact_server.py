"""A server process of its own, and a client that can stop half-way: what happens to a torn upload on a real wire."""

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

import warm_python
from patience import PATIENCE_S

ROOT = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class ServerProcess:
    """A server that runs on a home folder."""

    home: Path
    url: str
    process: warm_python.Process

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def artifact(self, path: str) -> str:
        """The URL of an artifact by the path of the proxy."""
        return f"{self.url}{ROOT}/{path}"

    def create_run(self) -> str:
        """The root of a new run's artifacts, as a path of the proxy."""
        answer = httpx.post(f"{self.url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
        uri: str = answer.json()["run"]["info"]["artifact_uri"]
        return uri.removeprefix("mlflow-artifacts:/")

    def wait(self) -> int:
        """How the process ended."""
        return self.process.wait(timeout=PATIENCE_S)

    def kill(self) -> None:
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=PATIENCE_S)

    def memory_bytes(self) -> int:
        """What the process holds in memory just now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the system does not tell")


@contextlib.contextmanager
def run_server(home: Path, *, failpoints: str = "") -> Iterator[ServerProcess]:
    """A server while the block runs; another one finds the same home as this one left it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    environment["PENSTOCK_FAILPOINTS"] = failpoints
    command = ["-m", "penstock", "server", "--home", str(home), "--port", "0", "--json"]
    with warm_python.Process(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield ServerProcess(home, json.loads(line)["url"], process)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def send_torn(server: ServerProcess, path: str, body: bytes, *, chunked: bool, cut: int) -> None:
    """Begin to send a body, and hang up after `cut` bytes of it."""
    head = f"PUT {ROOT}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    if chunked:
        head += "Transfer-Encoding: chunked\r\n\r\n"
        sent = f"{len(body):x}\r\n".encode() + body[:cut]
    else:
        head += f"Content-Length: {len(body)}\r\n\r\n"
        sent = body[:cut]
    with socket.create_connection(("127.0.0.1", server.port)) as wire, contextlib.suppress(ConnectionError):
        wire.sendall(head.encode() + sent)
        wire.shutdown(socket.SHUT_WR)
        while wire.recv(65536):
            pass


def left_behind(home: Path) -> list[str]:
    """Files in the object store that no reader could ever find."""
    return sorted(path.name for path in (home / "objects").rglob(".tmp-*"))
