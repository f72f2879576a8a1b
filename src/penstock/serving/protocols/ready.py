"""`GET /ready`: whether a gateway should be sent requests, and if not, everything that is missing."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from penstock.core.errors import PenstockError
from penstock.core.health import Problem, check_disk, find_out
from penstock.serving.calls import Answer, Call
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.protocol import not_found, refuse_with_code

PATH = "/ready"


class ReadyProtocol:
    """Readiness. A gateway whose server is away goes on answering, so that is no reason not to be ready.

    Args:
        folder: of the prediction log: no answer is sent that is not in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_methods(self, path: str) -> tuple[str, ...]:
        """GET at `/ready`."""
        return ("GET",) if path == PATH else ()

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """What holds now."""
        found = find_out([partial(_check_routing, table), partial(check_disk, self._folder)])
        return HttpAnswer(found.status, found.encode())

    def read(self, request: HttpRequest) -> Call:
        """There is nothing to predict."""
        raise not_found(request.path)

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """Never asked for."""
        raise not_found(PATH)

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """Code, message and hint."""
        return refuse_with_code(error)


def _check_routing(table: RoutingTable) -> Iterator[Problem]:
    if not table.deployments:
        yield Problem("routing", "no model is loaded: none is deployed, none can be loaded, or the gateway is stopping")
