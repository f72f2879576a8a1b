"""Serves an ASGI application over real HTTP on a free port of this machine."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from patience import PATIENCE_S
from penstock.processes.wire import BoundedHttpProtocol


@contextlib.contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """The URL at which the application answers while the block runs."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio turns Nagle off only where it sees TCP named
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    settings = uvicorn.Config(
        app, interface="asgi3", log_config=None, lifespan="off", loop="asyncio", http=BoundedHttpProtocol
    )
    server = _Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert server.is_up.wait(PATIENCE_S)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        thread.join()
        listener.close()


class _Server(uvicorn.Server):
    """Begins and ends at once: uvicorn's own looks ten times a second whether it should, and hundreds of tests wait."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self.is_up = threading.Event()

    def stop(self) -> None:
        """Answer what was asked, and end."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self.is_up.set()
        await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.001)
