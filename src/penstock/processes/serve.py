"""Serves HTTP until told to stop: the server's API and pages, or any other application on a socket."""

import contextlib
import gc
import logging
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import FrameType

import msgspec
import uvicorn

from penstock.app.app import open_app
from penstock.catalogue.services import Services
from penstock.core.config import Config
from penstock.core.identity import Actor, Role, local_actor
from penstock.core.project.types import Project
from penstock.governance.upkeep.packer import Packer
from penstock.processes.child import Ticker, hear_stop
from penstock.processes.exposure import check_exposure
from penstock.processes.listener import BACKLOG
from penstock.processes.watcher import Watcher
from penstock.processes.wire import BoundedHttpProtocol
from penstock.registry.compiling.compiler import VersionCompiler
from penstock.registry.loading import set_up_vetting
from penstock.remote.discovery import LOCK_NAME, HomeLock, ServerInfo, read_owner_token, write_server_file
from penstock.server.app import build_server
from penstock.tracking.sealing import Sealer

log = logging.getLogger(__name__)

LOCK_WAIT_S = 20.0  # the server before us may still be finishing its writes
SEALER_PAUSE_S = 1.0
GRACE_S = 3.0
PACKER_PAUSE_S = 60.0
WATCH_PAUSE_S = 1.0
COMPILER_PAUSE_S = 1.0
KEEP_ALIVE_S = 75  # a training logs now and then, and a connection made anew would cost it more than its call
MOST_CONNECTIONS = 4_000
SPARE_FILES = 200  # for the database, the object store and the logs

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


def run_uvicorn(
    app: object,
    listener: socket.socket,
    tell_ready: Callable[[], None] = lambda: None,
    *,
    tell_stopping: Callable[[], None] = lambda: None,
    grace_s: float = GRACE_S,
) -> None:
    """Serve an ASGI application on a socket until SIGTERM or SIGINT.

    Args:
        app: what answers.
        listener: the socket.
        tell_ready: called once it answers.
        tell_stopping: called when it is told to stop, before anything else.
        grace_s: how long requests under way may take from then on.
    """
    hear_stop()  # uvicorn sends itself the signal again when it is done, which must not end us before we tidied up
    settings = uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI callable will do
        interface="asgi3",  # the outermost layer gives what to await, and is no coroutine itself
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=round(grace_s),
        timeout_keep_alive=KEEP_ALIVE_S,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # nobody's word is taken for who sends a request
        backlog=BACKLOG,
        limit_concurrency=_most_connections(),
    )
    gc.freeze()  # the collector need not walk through all that was imported again and again
    gc.set_threshold(10_000, 20, 20)  # a request leaves next to no circles behind
    _Server(settings, tell_ready, tell_stopping).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self, settings: uvicorn.Config, tell_ready: Callable[[], None], tell_stopping: Callable[[], None]
    ) -> None:
        super().__init__(settings)
        self._tell_ready = tell_ready
        self._tell_stopping = tell_stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._tell_stopping()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_ready()


def _most_connections() -> int:
    """As many as there can be files open, and no more than is sensible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(50, min(MOST_CONNECTIONS, soft - SPARE_FILES))


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
