"""The server process: HTTP API, pages, and the controller; the only process that opens the database while it lives."""

import argparse
import logging
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvicorn

from penstock.app.app import open_app
from penstock.core.config import Config
from penstock.core.identity import Actor, Role, local_actor
from penstock.core.project.parse import load_project
from penstock.core.project.types import Project
from penstock.loop.controller import Controller
from penstock.processes.child import Ticker, hear_stop, run_process
from penstock.processes.exposure import check_exposure
from penstock.processes.wire import BoundedHttpProtocol
from penstock.remote.discovery import LOCK_NAME, HomeLock, ServerInfo, write_server_file
from penstock.sdk.connect import PROJECT_FILE, project_config
from penstock.server.app import build_server
from penstock.tracking.sealing import Sealer

log = logging.getLogger(__name__)

LOCK_WAIT_S = 20.0  # the server before us may still be finishing its writes
CONTROLLER_PAUSE_S = 0.25
SEALER_PAUSE_S = 1.0


def serve(config: Config, project: Project | None, listener: socket.socket) -> None:
    """Run the server until it is told to stop.

    Raises:
        PermissionDeniedError: it would listen beyond this machine without asking for a token.
        ConflictError: another server holds this home folder.
    """
    check_exposure(config)
    lock = HomeLock(config.home / LOCK_NAME)
    lock.acquire(wait_s=LOCK_WAIT_S)
    services = open_app(config, actor=Actor("controller", Role.ADMIN))  # requests say themselves who acts
    controllers = [Controller(services, project, holder=f"server of {config.home}")] if project else []
    sealer = Sealer(services.tracking.db, services.tracking)
    tickers = [
        Ticker("sealer", sealer.tick, SEALER_PAUSE_S),
        *(Ticker("controller", each.tick, CONTROLLER_PAUSE_S) for each in controllers),
    ]
    try:
        app = build_server(services, config=config, owner=local_actor(), project=project)
        for ticker in tickers:
            ticker.start()
        _announce(config, listener)
        run_uvicorn(app, listener)
    finally:
        for ticker in tickers:
            ticker.stop()
        for controller in controllers:
            controller.release()
        services.close()
        lock.release()


def run_uvicorn(app: object, listener: socket.socket) -> None:
    """Serve an ASGI application on a socket until SIGTERM or SIGINT."""
    hear_stop()  # uvicorn sends itself the signal again when it is done, which must not end us before we tidied up
    settings = uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI callable will do
        loop="uvloop",
        http=BoundedHttpProtocol,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
        lifespan="off",
        server_header=False,
    )
    uvicorn.Server(settings).run(sockets=[listener])


def _announce(config: Config, listener: socket.socket) -> None:
    config = msgspec.structs.replace(config, port=listener.getsockname()[1])
    info = ServerInfo(
        url=config.url,
        gateway_url=config.gateway_url,
        pid=os.getpid(),
        started_at=datetime.now(UTC),
    )
    write_server_file(config.home, info)
    log.info("server answers", extra={"url": info.url})


def main() -> None:
    """The entry point: `python -m penstock.processes.server --folder DIR --fd N`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    arguments = parser.parse_args()
    run_process(lambda: _serve_project(arguments.folder, socket.socket(fileno=arguments.fd)))


def _serve_project(folder: Path, listener: socket.socket) -> None:
    serve(project_config(folder), load_project(folder / PROJECT_FILE), listener)


if __name__ == "__main__":
    main()
