"""Several gateway processes on one port: each with its own models, log and loop, all on one listening socket.

While a worker is started again its callers are taken in by the others, or wait in the socket; only the requests that
it held are lost with it.
"""

import contextlib
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from starlette.types import ASGIApp

from penstock.core.errors import ConflictError
from penstock.predictions.segment_log import SegmentLog
from penstock.processes.child import Ticker
from penstock.processes.http_server import run_uvicorn
from penstock.processes.supervisor import ChildSpec
from penstock.serving.gateway import Gateway
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.metrics import SharedCounts

SHARE_EVERY_S = 1.0
GRACE_S = 10.0  # for requests under way when a gateway is told to stop
# A worker answers on one core: threads of a numeric library would wait for each other, spinning, on what others use.
ONE_CORE = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
_FOLDER = re.compile(r"worker-(\d+)")


class Worker(Struct, frozen=True):
    """Which of the processes of a gateway this one is."""

    number: int = 1
    count: int = 1

    @property
    def name(self) -> str:
        """What its process and its log file are called."""
        return "gateway" if self.count == 1 else f"gateway-{self.number}"

    def find_folder(self, base: Path) -> Path:
        """Its own folder; the first worker has that of a lone gateway."""
        return base if self.number == 1 else base / f"worker-{self.number}"

    def open_counts(self, base: Path) -> SharedCounts | None:
        """Where the processes of one gateway tell each other what they counted; a lone one tells nobody."""
        return SharedCounts(base / "counts", self.name) if self.count > 1 else None

    def open_log(self, base: Path) -> SegmentLog:
        """Its prediction log; the first worker also takes over what workers left that there are no more.

        Raises:
            ConflictError: another process writes it.
        """
        segments = SegmentLog(self.find_folder(base) / "segments")
        if self.number == 1:
            for folder in sorted(base.glob("worker-*")):
                match = _FOLDER.fullmatch(folder.name)
                if match and int(match[1]) > self.count:
                    _take_over(folder / "segments", segments.folder)
        return segments


def worker_specs(
    argv: Callable[[Worker], list[str]], count: int, listener: socket.socket, environment: dict[str, str]
) -> list[ChildSpec]:
    """The processes of a gateway, for a supervisor.

    Args:
        argv: the command line of a worker.
        count: how many there are.
        listener: the socket they share; its number is the same in each of them.
        environment: of each.
    """
    workers = [Worker(number, count) for number in range(1, count + 1)]
    environment = ONE_CORE | environment
    return [ChildSpec(worker.name, argv(worker), [listener], environment) for worker in workers]


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
