"""`GET /metrics`: what the gateway counts, for Prometheus."""

from collections.abc import Callable
from pathlib import Path

from penstock.core.errors import PenstockError
from penstock.core.health import CONTENT_TYPE
from penstock.serving.calls import Answer, Call
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import RoutingTable
from penstock.serving.metrics import Counts, render
from penstock.serving.protocols.protocol import not_found, refuse_with_code

PATH = "/metrics"


class PrometheusProtocol:
    """Prometheus.

    Args:
        read: what all processes of the gateway counted.
        folder: of the prediction log.
    """

    def __init__(self, read: Callable[[], Counts], folder: Path) -> None:
        self._read = read
        self._folder = folder

    def find_methods(self, path: str) -> tuple[str, ...]:
        """GET at `/metrics`."""
        return ("GET",) if path == PATH else ()

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """The page."""
        return HttpAnswer(200, render(self._read(), self._folder), content_type=CONTENT_TYPE.encode())

    def read(self, request: HttpRequest) -> Call:
        """There is nothing to predict."""
        raise not_found(request.path)

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """Never asked for."""
        raise not_found(PATH)

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """Code, message and hint."""
        return refuse_with_code(error)
