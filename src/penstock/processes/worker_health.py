"""Health and metrics of a worker over HTTP, on a port of its own where one is set."""

import contextlib
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from penstock.catalogue.services import Services
from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import PenstockError
from penstock.core.health import CONTENT_TYPE, Problem, check_disk, disk_families, find_out, render_metrics
from penstock.pipelines.worker import Worker
from penstock.processes.listener import open_listener
from penstock.processes.wire import BoundedHttpProtocol
from penstock.server.guard import HostGuard
from penstock.server.identity import TokenGuard
from penstock.server.metrics import gauge

OPEN_PATHS = ("/health", "/ready")
PORT_WAIT_S = 5.0  # for the worker before us


class WorkerHealth:
    """Says how a worker is.

    Args:
        worker: which.
        services: of the server that it works for.
        config: its home folder, host, port and token.
    """

    def __init__(self, worker: Worker, services: Services, config: Config) -> None:
        self._worker = worker
        self._services = services
        self._config = config
        routes = [
            Route("/health", lambda request: PlainTextResponse("OK"), methods=["GET"]),
            Route("/ready", self._ready, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
        ]
        guarded = TokenGuard(Starlette(routes=routes), config, OPEN_PATHS)
        self.app = HostGuard(guarded, config) if config.host in LOOPBACK else guarded

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Answer while the block runs; where no port is set, nothing listens.

        Raises:
            ConflictError: the port is taken.
        """
        if not self._config.worker_port:
            yield
            return
        config = self._config
        listener = open_listener(
            config.host, config.worker_port, what="worker", option="PENSTOCK_WORKER_PORT", wait_s=PORT_WAIT_S
        )
        settings = uvicorn.Config(
            self.app,
            interface="asgi3",
            http=BoundedHttpProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="health", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            listener.close()

    def _ready(self, request: Request) -> Response:
        found = find_out([self._check_server, partial(check_disk, self._config.home)])
        return Response(found.encode(), status_code=found.status, media_type="application/json")

    def _check_server(self) -> Iterator[Problem]:
        try:
            self._services.governance.head()
        except PenstockError as error:
            yield Problem("server", f"the server gives no work: {error.message}")

    def _metrics(self, request: Request) -> Response:
        return Response(render_metrics(self._families), headers={"content-type": CONTENT_TYPE})

    def _families(self) -> Iterator[Any]:
        told = "Runs that this worker carries out now."
        yield gauge("penstock_worker_runs", told, [], {(): float(bool(self._worker.run))})
        yield from disk_families(self._config.home)
