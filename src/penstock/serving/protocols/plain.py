"""The plain protocol: `POST /predict/{deployment}`, rows in, rows out."""

import msgspec
from msgspec import Raw

from penstock.core.errors import PenstockError
from penstock.serving.calls import Answer, Call, Parameters
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.bodies import decode_body
from penstock.serving.protocols.protocol import answer_headers, not_found, refuse_with_code

PREFIX = "/predict/"


class PlainRequest(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body: rows, and parameters beside them. A bare list of rows will do as well."""

    rows: Raw
    version: int | None = None


class PlainProtocol:
    """JSON rows in, JSON rows out."""

    def find_methods(self, path: str) -> tuple[str, ...]:
        """POST at `/predict/{deployment}`."""
        return ("POST",) if path.startswith(PREFIX) and "/" not in path[len(PREFIX) :] else ()

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """There is nothing to look at."""
        raise not_found(request.path)

    def read(self, request: HttpRequest) -> Call:
        """The rows and parameters of a body."""
        deployment = request.path[len(PREFIX) :]
        if request.body.lstrip()[:1] == b"[":
            body = request.body
            return Call(deployment=deployment, read_rows=lambda decoder: decoder.read_json(body, "rows", strict=True))
        asked = decode_body(request.body, PlainRequest)
        return Call(
            deployment=deployment,
            read_rows=lambda decoder: decoder.read_json(asked.rows, "rows", strict=True),
            parameters=asked,
            version=asked.version,
        )

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """A row per row: the output's columns, with id, revision, version and status."""
        rows = [
            {
                "id": item.id,
                **item.output,
                "revision": item.revision.route.number,
                "version": item.revision.route.version,
                "status": item.status,
                **({"rules": item.rules} if item.rules else {}),
            }
            for item in answer.predictions
        ]
        route = answer.deployment.stable.route
        body = msgspec.json.encode({"deployment": answer.deployment.name, "model": route.model, "predictions": rows})
        return HttpAnswer(200, body, answer_headers(answer))

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """Code, message, hint and field."""
        return refuse_with_code(error)
