"""KServe's V1 protocol, which is TensorFlow Serving's: `POST /v1/models/NAME:predict` with `instances`.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

import msgspec

from penstock.core.errors import PenstockError
from penstock.serving.calls import Answer, Call
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.instances import read_instances_call, write_predictions
from penstock.serving.protocols.protocol import error_headers, not_found

MODELS = "/v1/models"
_PREDICT = ":predict"


class KServeProtocol:
    """KServe V1."""

    def find_methods(self, path: str) -> tuple[str, ...]:
        """POST for `:predict`, GET for the list, a model, and whether anybody is there at all."""
        if path in ("/", MODELS):
            return ("GET",)
        name = _name(path)
        if name is None:
            return ()
        return ("POST",) if name.endswith(_PREDICT) else ("GET",)

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """What is served, and whether it is ready."""
        if request.path == "/":
            return _json({"status": "alive"})
        if request.path == MODELS:
            return _json({"models": sorted(table.deployments)})
        name = _name(request.path)
        if name is None:
            raise not_found(request.path)
        return _json({"name": table.get(name).name, "ready": True})

    def read(self, request: HttpRequest) -> Call:
        """The instances of a body."""
        name = _name(request.path)
        if name is None:
            raise not_found(request.path)
        return read_instances_call(name.removesuffix(_PREDICT), request.body)

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """`{"predictions": [a row each]}`."""
        return write_predictions(answer)

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """`{"error": text}`."""
        return HttpAnswer(error.http_status, msgspec.json.encode({"error": str(error)}), error_headers(error))


def _name(path: str) -> str | None:
    """What stands behind `/v1/models/`, a verb included."""
    head, _, name = path.rpartition("/")
    return name if head == MODELS and name else None


def _json(value: object) -> HttpAnswer:
    return HttpAnswer(200, msgspec.json.encode(value))
