"""Serves an ASGI application on a socket until told to stop: the server's, and a gateway's, which needs no server."""

import gc
import resource
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from penstock.processes.child import hear_stop
from penstock.processes.listener import BACKLOG
from penstock.processes.wire import BoundedHttpProtocol

GRACE_S = 3.0
KEEP_ALIVE_S = 75  # a training logs now and then, and a connection made anew would cost it more than its call
MOST_CONNECTIONS = 4_000
SPARE_FILES = 200  # for the database, the object store and the logs


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
