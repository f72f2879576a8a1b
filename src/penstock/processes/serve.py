"""Serves the API and pages of a home folder until told to stop, with what works beside them."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import msgspec

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role, local_actor
from penstock.core.project.types import Project
from penstock.governance.upkeep.packer import Packer
from penstock.processes.child import Ticker
from penstock.processes.exposure import check_exposure
from penstock.processes.http_server import run_uvicorn
from penstock.processes.watcher import Watcher
from penstock.registry.compiling.compiler import VersionCompiler
from penstock.registry.loading import set_up_vetting
from penstock.remote.discovery import LOCK_NAME, HomeLock, ServerInfo, read_owner_token, write_server_file
from penstock.server.app import build_server
from penstock.tracking.sealing import Sealer

log = logging.getLogger(__name__)

LOCK_WAIT_S = 20.0  # the server before us may still be finishing its writes
SEALER_PAUSE_S = 1.0
PACKER_PAUSE_S = 60.0
WATCH_PAUSE_S = 1.0
COMPILER_PAUSE_S = 1.0

Beside = Callable[[Services], AbstractContextManager[object]]


@contextlib.contextmanager
def nothing_beside(services: Services) -> Iterator[None]:
    """A server with no more than its services."""
    yield


def serve(
    config: Config,
    listener: socket.socket,
    *,
    project: Project | None = None,
    beside: Beside = nothing_beside,
    lock_wait_s: float = LOCK_WAIT_S,
    tell_ready: Callable[[str], None] | None = None,
) -> None:
    """Run the server until it is told to stop.

    Args:
        config: its home folder, database, object store and tokens.
        listener: the socket it answers on.
        project: whose pages are shown.
        beside: what works on the services while they are served, such as the controller of a project.
        lock_wait_s: how long to wait for the end of another server of this home.
        tell_ready: called with the server's URL once it answers.

    Raises:
        PermissionDeniedError: it would listen beyond this machine without asking for a token.
        ConflictError: another server holds this home folder.
    """
    lock = HomeLock(config.home / LOCK_NAME)
    lock.acquire(wait_s=lock_wait_s)
    try:
        services = open_app(config, actor=Actor("controller", Role.ADMIN))  # requests say themselves who acts
        try:
            services.objects.begin_writing()  # for its clients, too; a store that nobody can reach is told now
            check_exposure(config, has_tokens=bool(services.tokens.list_tokens()))
            owner_token = read_owner_token(config.home)
            app = build_server(services, config=config, owner=local_actor(), project=project, owner_token=owner_token)
            with beside(services), _upkeep(services, config):
                url = _announce(config, listener)
                run_uvicorn(app, listener, lambda: tell_ready(url) if tell_ready else None)
        finally:
            services.close()
    finally:
        lock.release()


@contextlib.contextmanager
def _upkeep(services: Services, config: Config) -> Iterator[None]:
    """While the block runs: points of ended runs are sealed, objects that were kept one by one are put into packs,
    deployments that are served elsewhere are watched, and versions that nobody has compiled are compiled.
    """
    vetting = set_up_vetting(services.trust.get_standing, config)
    compiler = VersionCompiler(services.registry.db, services.registry, services.objects, config.cache, vetting)
    tickers = [
        Ticker("sealer", Sealer(services.tracking.db, services.tracking).tick, SEALER_PAUSE_S),
        Ticker("packer", Packer(services.upkeep, services.objects.blobs).tick, PACKER_PAUSE_S),
        Ticker("watch of other deployments", Watcher(services).tick, WATCH_PAUSE_S),
        Ticker("compiler", compiler.tick, COMPILER_PAUSE_S),
    ]
    with contextlib.ExitStack() as stack:
        for ticker in tickers:
            stack.callback(ticker.stop)
            ticker.start()
        stack.callback(compiler.stop)
        yield


def _announce(config: Config, listener: socket.socket) -> str:
    config = msgspec.structs.replace(config, port=listener.getsockname()[1])
    info = ServerInfo(
        url=config.url,
        gateway_url=config.gateway_url,
        pid=os.getpid(),
        started_at=datetime.now(UTC),
    )
    write_server_file(config.home, info)
    log.info("server answers", extra={"url": info.url})
    return config.url
