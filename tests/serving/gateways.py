"""A whole gateway over real HTTP on a free port, with its loop driven by hand."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from patience import PATIENCE_S
from penstock.core.clock import Clock
from penstock.core.ids import Digest
from penstock.predictions.frames import read_predictions
from penstock.predictions.segment_log import SegmentLog
from penstock.registry.loading import open_tree
from penstock.serving.gateway import Gateway, GatewayLimits
from penstock.serving.gateway_loop import GatewayLoop
from penstock.serving.port import GatewayPort
from serving.models import Backend
from serving_http import serve
from vetting import unvetted


class HttpServer:
    """An ASGI application behind uvicorn on a thread."""

    def __init__(self, app: Any) -> None:
        self._serving = contextlib.ExitStack()
        self.url = self._serving.enter_context(serve(app))

    def stop(self) -> None:
        """Answer what is under way, then end."""
        self._serving.close()


class GatewayUnderTest:
    """A gateway with its log, loop, HTTP server and client."""

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        *,
        port: GatewayPort | None = None,
        clock: Clock | None = None,
        limits: GatewayLimits | None = None,
        trust_s: float = math.inf,
    ) -> None:
        self.backend = backend
        self.log = SegmentLog(folder / "segments", rotate_after_s=3600)
        self.gateway = Gateway(self.log, clock=clock, limits=limits)
        self.loop = GatewayLoop(
            self.gateway,
            port or backend.port,
            self.log,
            open_with(backend, folder),
            folder,
            name="test",
            poll_s=0.02,
            trust_s=trust_s,
        )
        self.http = HttpServer(self.gateway)
        self.client = httpx.Client(base_url=self.http.url, timeout=PATIENCE_S)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Send JSON."""
        return self.client.post(path, json=body, headers=headers)

    def predict(self, deployment: str, body: Any) -> list[dict[str, Any]]:
        """The rows of a successful answer."""
        answer = self.post(f"/predict/{deployment}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    def logged(self, deployment: str) -> pl.DataFrame:
        """Everything logged so far, as it lies in the object store."""
        self.log.rotate()
        self.loop.step()
        segments = self.backend.predictions.list_segments(deployment)
        return read_predictions(self.backend.objects, segments)

    def stop(self) -> None:
        """End everything in order."""
        self.client.close()
        self.http.stop()
        self.loop.stop()


def open_with(backend: Backend, folder: Path) -> Callable[[Digest], Any]:
    """Loads models as a gateway process does."""
    return lambda tree: open_tree(backend.objects, tree, folder, unvetted(folder))
