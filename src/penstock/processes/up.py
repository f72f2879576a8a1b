"""`penstock up`: one process tree for a project - server, gateway and worker under a supervisor."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from penstock.core.config import Config
from penstock.core.errors import ConflictError, NotFoundError, UnavailableError
from penstock.processes.child import StopSignal
from penstock.processes.exposure import check_exposure
from penstock.processes.gateway_workers import Worker, worker_specs
from penstock.processes.listener import open_listener
from penstock.processes.supervisor import ChildSpec, Supervisor, child_argv
from penstock.remote.discovery import LOCK_NAME, UP_LOCK_NAME, HomeLock, find_server

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class Up:
    """The running processes of a project.

    Attributes:
        url: of the server: API and pages.
        gateway_url: where predictions are answered.
    """

    def __init__(self, supervisor: Supervisor, url: str, gateway_url: str) -> None:
        self.supervisor = supervisor
        self.url = url
        self.gateway_url = gateway_url

    def wait_ready(self, stop: StopSignal | None = None, timeout_s: float = START_TIMEOUT_S) -> bool:
        """Wait until server and gateway answer; False when `stop` was set before they did.

        Raises:
            UnavailableError: they did not in time, or one of them ends again and again.
        """
        stop = stop or StopSignal()
        deadline = time.monotonic() + timeout_s
        for url in (f"{self.url}/ready", f"{self.gateway_url}/v2/health/live"):
            while not _answers(url):
                self.supervisor.check_started()
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"nothing answers at {url} after {timeout_s:.0f} s", hint=f"look into {self.supervisor.logs}"
                    )
                if stop.wait(0.05):
                    return False
        return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def start_up(folder: Path, config: Config, tell: Callable[[str], None], *, workers: int = 1) -> Iterator[Up]:
    """Start a project's processes, and stop them when the block is left.

    Args:
        folder: of the project; its file was read without mistakes.
        config: where to listen, and where the state lives. Port 0 is any free port.
        tell: called with a line for people when a process dies and is started again.
        workers: how many processes answer predictions.

    Raises:
        ConflictError: the project is up already, or a port is taken.
        PermissionDeniedError: it would be open to the network without a token.
    """
    check_exposure(config)
    lock = HomeLock(config.home / UP_LOCK_NAME)
    _take(lock, config.home)
    try:
        # The processes of a supervisor that was killed may take a moment to let go of their sockets.
        gateways = config.home.glob("gateway*.lock")
        lives = any(HomeLock(path).is_held for path in (config.home / LOCK_NAME, *gateways))
        wait_s = 10.0 if lives else 0.0
        with contextlib.ExitStack() as sockets:
            server = _listen(sockets, config.host, config.port, "server", "--port", wait_s)
            gateway = _listen(sockets, config.host, config.gateway_port, "gateway", "--gateway-port", wait_s)
            config = msgspec.structs.replace(
                config, port=server.getsockname()[1], gateway_port=gateway.getsockname()[1]
            )
            supervisor = Supervisor(_specs(folder, config, server, gateway, workers), config.logs, tell)
            supervisor.start()
            watching = threading.Thread(target=supervisor.watch, name="supervisor")
            watching.start()
            try:
                yield Up(
                    supervisor,
                    config.url,
                    config.gateway_url,
                )
            finally:
                supervisor.request_stop()
                watching.join()
    finally:
        lock.release()


def stop_up(home: Path) -> int:
    """Stop what `start_up` started for a home folder, and wait for its end; returns the process that was stopped.

    Raises:
        NotFoundError: nothing is up.
        UnavailableError: it did not end in time.
    """
    lock = HomeLock(home / UP_LOCK_NAME)
    if not lock.is_held:
        raise NotFoundError(f"nothing is up for {home}", hint="start it with 'penstock up'")
    holder = lock.holder
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while lock.is_held:
        if time.monotonic() > deadline:
            raise UnavailableError(f"process {holder} does not stop", hint=f"end it with 'kill -9 {holder}'")
        time.sleep(0.05)
    return holder


def _take(lock: HomeLock, home: Path) -> None:
    try:
        lock.acquire()
    except ConflictError as error:
        server = None
        with contextlib.suppress(UnavailableError):  # it is only just starting
            server = find_server(home, wait_s=0.0)
        where = f" at {server.url}" if server else ""
        raise ConflictError(
            f"this project is up already{where} (process {lock.holder})", hint="stop it with 'penstock stop'"
        ) from error


def _listen(
    sockets: contextlib.ExitStack, host: str, port: int, what: str, option: str, wait_s: float
) -> socket.socket:
    return sockets.enter_context(contextlib.closing(open_listener(host, port, what=what, option=option, wait_s=wait_s)))


def _specs(
    folder: Path, config: Config, server: socket.socket, gateway: socket.socket, workers: int
) -> list[ChildSpec]:
    place = ["--folder", str(folder)]
    environment = {
        "PENSTOCK_HOME": str(config.home),
        "PENSTOCK_HOST": config.host,
        "PENSTOCK_PORT": str(config.port),
        "PENSTOCK_GATEWAY_PORT": str(config.gateway_port),
    }
    return [
        ChildSpec("server", child_argv("server", *place, "--fd", str(server.fileno())), [server], environment),
        *worker_specs(lambda worker: _gateway_argv(place, gateway, worker), workers, gateway, environment),
        ChildSpec("worker", child_argv("worker", *place), [], environment),
    ]


def _gateway_argv(place: list[str], listener: socket.socket, worker: Worker) -> list[str]:
    which = ["--worker", str(worker.number), "--workers", str(worker.count)]
    return child_argv("gateway", *place, "--fd", str(listener.fileno()), *which)
