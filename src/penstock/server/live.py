"""Server-sent events: open pages hear that something changed, and fetch themselves again."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

PAUSE_S = 0.5
KEEPALIVE_S = 15.0


def live_route(version: Callable[[], str]) -> Route:
    """`GET /live` sends an event whenever `version()` answers something new.

    `?seen=` names the version that a page shows, and a browser that lost its connection names the last one it heard of,
    so that nothing is missed in between.

    Args:
        version: a short text that changes with the state that pages show; called twice a second while a page is open.
    """

    async def live(request: Request) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_events(request, version), media_type="text/event-stream", headers=headers)

    return Route("/live", live, methods=["GET"])


async def _events(request: Request, version: Callable[[], str]) -> AsyncIterator[str]:
    now = await run_in_threadpool(version)
    seen = request.headers.get("last-event-id") or request.query_params.get("seen") or now
    yield "retry: 1000\n\n"
    silent_s = 0.0
    while not await request.is_disconnected():
        if now != seen:
            seen, silent_s = now, 0.0
            yield f"event: change\nid: {now}\ndata: {now}\n\n"
        elif silent_s >= KEEPALIVE_S:
            silent_s = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(PAUSE_S)
        silent_s += PAUSE_S
        now = await run_in_threadpool(version)
