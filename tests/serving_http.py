"""Serves an ASGI application over real HTTP on a free port of this machine."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from penstock.processes.wire import BoundedHttpProtocol


@contextlib.contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """The URL at which the application answers while the block runs."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio turns Nagle off only where it sees TCP named
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    settings = uvicorn.Config(app, log_config=None, lifespan="off", loop="asyncio", http=BoundedHttpProtocol)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
