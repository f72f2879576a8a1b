"""The life of a gateway process: what it opens, and how it answers until it is told to stop."""

import contextlib
import re
import socket
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp

from penstock.core.errors import ConflictError
from penstock.predictions.segment_log import SegmentLog
from penstock.processes.child import Ticker
from penstock.processes.gateway_workers import Worker
from penstock.processes.http_server import run_uvicorn
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.metrics import SharedCounts

SHARE_EVERY_S = 1.0
GRACE_S = 10.0  # for requests under way when a gateway is told to stop
_FOLDER = re.compile(r"worker-(\d+)")


def open_counts(worker: Worker, base: Path) -> SharedCounts | None:
    """Where the processes of one gateway tell each other what they counted; a lone one tells nobody."""
    return SharedCounts(base / "counts", worker.name) if worker.count > 1 else None


def open_log(worker: Worker, base: Path) -> SegmentLog:
    """The prediction log of a worker; the first one also takes over what workers left that there are no more.

    Raises:
        ConflictError: another process writes it.
    """
    segments = SegmentLog(worker.find_folder(base) / "segments")
    if worker.number == 1:
        for folder in sorted(base.glob("worker-*")):
            match = _FOLDER.fullmatch(folder.name)
            if match and int(match[1]) > worker.count:
                _take_over(folder / "segments", segments.folder)
    return segments


def run_gateway(
    gateway: Gateway,
    loop: GatewayLoop,
    app: ASGIApp,
    listener: socket.socket,
    tell_ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer predictions until told to stop: then it is not ready any more, and ends what is under way.

    Args:
        gateway: answers.
        loop: keeps it in step, and ships what it logged; its models are loaded.
        app: the gateway behind its guards.
        listener: the socket it answers on.
        tell_ready: called once it answers.
    """
    telling = Ticker("counts", gateway.share_counts, SHARE_EVERY_S)
    loop.start()
    telling.start()
    try:
        run_uvicorn(app, listener, tell_ready, tell_stopping=gateway.begin_stop, grace_s=GRACE_S)
    finally:
        telling.stop()
        loop.stop()


def _take_over(source: Path, target: Path) -> None:
    """Finish the log of a worker that is gone, and move its segments to another's."""
    if not source.is_dir():
        return
    with contextlib.suppress(ConflictError):  # it lives still, and ships them itself
        left = SegmentLog(source)
        left.close()
        for path in left.list_closed():
            path.rename(target / path.name)
