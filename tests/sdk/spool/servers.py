"""Real servers and real clients in processes of their own, to be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

SERVER = """
import socket, sys
from pathlib import Path
from penstock.core.config import load_config
from penstock.processes.server import serve
serve(load_config({}, home=Path(sys.argv[1])), None, socket.socket(fileno=int(sys.argv[2])))
"""


class Server:
    """A server of a home folder that keeps its port over restarts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with _listen(0) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        """Start it, and wait for its first answer."""
        with _listen(self.port) as listener:  # while the process lives it has the socket
            number = listener.fileno()
            command = [sys.executable, "-c", SERVER, str(self.home), str(number)]
            self.process = subprocess.Popen(command, pass_fds=[number], env=os.environ | environment)
        deadline = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"{self.url}/health", trust_env=False, timeout=60).status_code == 200
                return
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait_killed(self) -> None:
        """Wait until a fail-point has killed it."""
        assert self.process is not None
        assert self.process.wait(60) == -signal.SIGKILL


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener


def start_client(code: str, **environment: str) -> subprocess.Popen[str]:
    """A process of its own that runs some code with `ps` and `sys` imported."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys, time, os\nimport penstock as ps\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
