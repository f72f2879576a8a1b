"""A server process of its own, and a client that can stop half-way: what happens to a torn upload on a real wire."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = "/api/2.0/mlflow-artifacts/artifacts"
PROGRAM = """
import socket, sys
from pathlib import Path
from penstock.core.config import Config
from penstock.processes.server import serve
serve(Config(home=Path(sys.argv[1])), None, socket.socket(fileno=int(sys.argv[2])))
"""


@dataclass
class ServerProcess:
    """A server on a free port; `port` stays the same when it is started again."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

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
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def memory_bytes(self) -> int:
        """What the process holds in memory just now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the system does not tell")


@contextlib.contextmanager
def run_server(home: Path, *, failpoints: str = "") -> Iterator[ServerProcess]:
    """A server while the block runs, and another one on the same home when it is called again."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PENSTOCK_FAILPOINTS": failpoints}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(home), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            env=environment,
            stderr=subprocess.PIPE,
        )
        server = ServerProcess(home, listener.getsockname()[1], process)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _wait_until_ready(server: ServerProcess) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/health").status_code == 200:
                return
        if server.process.poll() is not None:
            assert server.process.stderr is not None
            raise AssertionError(server.process.stderr.read().decode())
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


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
