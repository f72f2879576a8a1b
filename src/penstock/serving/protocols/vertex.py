"""Vertex AI's custom container: the routes come from `AIP_*` variables, the body is `{"instances", "parameters"}`.

https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from collections.abc import Mapping

import msgspec

from penstock.core.errors import InvalidInputError, PenstockError, UnavailableError
from penstock.serving.calls import Answer, Call
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.instances import read_instances_call, write_predictions
from penstock.serving.protocols.protocol import error_headers


class VertexProtocol:
    """Answers at the two routes that Vertex AI names.

    Args:
        health_route: where it asks whether predictions can be made.
        predict_route: where it sends them; the same as the health route where Vertex sets neither.
    """

    def __init__(self, health_route: str, predict_route: str) -> None:
        self._health_route = health_route.rstrip("/")
        self._predict_route = predict_route.rstrip("/")

    def find_methods(self, path: str) -> tuple[str, ...]:
        """POST for predictions, GET for health."""
        routes = (("GET", self._health_route), ("POST", self._predict_route))
        return tuple(method for method, route in routes if route and path == route)

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """200 when predictions can be made."""
        if not table.deployments:
            raise UnavailableError("no model is loaded yet", hint="'penstock run' trains and releases one")
        return HttpAnswer(200, b"{}")

    def read(self, request: HttpRequest) -> Call:
        """The instances of a body."""
        return read_instances_call("", request.body)

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """`{"predictions": [a row each]}`."""
        return write_predictions(answer)

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """`{"error": text}`."""
        return HttpAnswer(error.http_status, msgspec.json.encode({"error": str(error)}), error_headers(error))


def find_vertex(environment: Mapping[str, str]) -> list[VertexProtocol]:
    """The protocol with the routes that these variables name; nothing where Vertex AI did not start this process.

    Raises:
        InvalidInputError: a route does not begin with a slash.
    """
    endpoint, deployed = environment.get("AIP_ENDPOINT_ID", ""), environment.get("AIP_DEPLOYED_MODEL_ID", "")
    usual = f"/v1/endpoints/{endpoint}/deployedModels/{deployed}:predict" if endpoint and deployed else ""
    health = environment.get("AIP_HEALTH_ROUTE", "") or usual
    predict = environment.get("AIP_PREDICT_ROUTE", "") or usual
    for name, route in (("AIP_HEALTH_ROUTE", health), ("AIP_PREDICT_ROUTE", predict)):
        if route and not route.startswith("/"):
            raise InvalidInputError(
                f"{name} is {route!r}, which is no path", hint="write it as in /predict", field=name
            )
    return [VertexProtocol(health, predict)] if health or predict else []
