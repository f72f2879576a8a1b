"""`GET /metrics`: what the gateway counts, for Prometheus."""

from collections.abc import Callable

from penstock.core.errors import PenstockError
from penstock.serving.calls import Answer, Call
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import RoutingTable
from penstock.serving.metrics import CONTENT_TYPE, Counts, render
from penstock.serving.protocols.protocol import not_found, refuse_with_code

PATH = "/metrics"


class PrometheusProtocol:
    """Prometheus.

    Args:
        read: what all processes of the gateway counted.
    """

    def __init__(self, read: Callable[[], Counts]) -> None:
        self._read = read

    def find_methods(self, path: str) -> tuple[str, ...]:
        """GET at `/metrics`."""
        return ("GET",) if path == PATH else ()

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """The page."""
        return HttpAnswer(200, render(self._read()), content_type=CONTENT_TYPE)

    def read(self, request: HttpRequest) -> Call:
        """There is nothing to predict."""
        raise not_found(request.path)

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """Never asked for."""
        raise not_found(PATH)

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """Code, message and hint."""
        return refuse_with_code(error)
