"""Real servers and real clients in processes of their own, to be killed and started again."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

import warm_python
from patience import PATIENCE_S


class Server:
    """A server of a home folder that keeps its port over restarts.

    Args:
        home: its folder.
        options: of its command line, beside those.
    """

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self._options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: warm_python.Process | None = None

    def start(self, **environment: str) -> None:
        """Start it, and wait for its first answer."""
        self.launch(**environment)
        assert self.wait(), "it ended before it answered"

    def launch(self, **environment: str) -> None:
        """Start it."""
        command = ["-m", "penstock", "server", "--home", str(self.home), "--port", str(self.port), "--json"]
        self.process = warm_python.Process(
            [*command, *self._options], env=os.environ | environment, stdout=subprocess.DEVNULL
        )

    def wait(self) -> bool:
        """Wait for its first answer; False when it has ended before that."""
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            try:
                assert httpx.get(f"{self.url}/health", trust_env=False, timeout=PATIENCE_S).status_code == 200
                return True
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        return False

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait_killed(self) -> None:
        """Wait until a fail-point has killed it."""
        assert self.process is not None
        assert self.process.wait(PATIENCE_S) == -signal.SIGKILL


def start_client(code: str, **environment: str) -> warm_python.Process:
    """A process of its own that runs some code with `ps` and `sys` imported."""
    return warm_python.Process(
        ["-c", f"import sys, time, os\nimport penstock as ps\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )
