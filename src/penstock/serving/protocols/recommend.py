"""Lists of items: `POST /recommend/{deployment}`, an entity in, ranked items out."""

from typing import Any

import msgspec

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError, PenstockError
from penstock.serving.calls import Answer, Call, Parameters
from penstock.serving.http import HttpAnswer, HttpRequest
from penstock.serving.inputs import InputDecoder, Rows
from penstock.serving.live import RoutingTable
from penstock.serving.protocols.bodies import decode_body
from penstock.serving.protocols.protocol import answer_headers, not_found, refuse_with_code

PREFIX = "/recommend/"


class RecommendRequest(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body: who it is for, as a value of the model's first column or as all its columns; and parameters."""

    entity: str | int | dict[str, Any]
    version: int | None = None


class RecommendProtocol:
    """JSON in, JSON out."""

    def find_methods(self, path: str) -> tuple[str, ...]:
        """POST at `/recommend/{deployment}`."""
        return ("POST",) if path.startswith(PREFIX) and "/" not in path[len(PREFIX) :] else ()

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """There is nothing to look at."""
        raise not_found(request.path)

    def read(self, request: HttpRequest) -> Call:
        """Who it is for, and parameters."""
        asked = decode_body(request.body, RecommendRequest)
        return Call(
            deployment=request.path[len(PREFIX) :],
            read_rows=lambda decoder: _read_entity(asked.entity, decoder),
            parameters=asked,
            version=asked.version,
            task="ranking",
        )

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """The items with their places and scores, who ranked them, and what changed the order."""
        (found,) = answer.predictions
        items, scores = found.output["items"], found.output["scores"]
        route = found.revision.route
        body = {
            "id": found.id,
            "deployment": answer.deployment.name,
            "model": route.model,
            "version": route.version,
            "revision": route.number,
            "status": found.status,
            "propensity": found.propensity,
            "rules": found.rules,
            "items": [
                {"position": position, "item": item, "score": score}
                for position, (item, score) in enumerate(zip(items, scores, strict=True), 1)
            ],
        }
        return HttpAnswer(200, msgspec.json.encode(body), answer_headers(answer))

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """Code, message, hint and field."""
        return refuse_with_code(error)


def _read_entity(entity: str | int | dict[str, Any], decoder: InputDecoder) -> Rows:
    """The row of an entity. Texts that are left out are empty: nothing is known of that."""
    first = decoder.columns[0].name
    held = entity if isinstance(entity, dict) else {first: entity}
    for name in held:
        if name not in decoder.places:
            hint = nearest_hint(name, decoder.places)
            raise InvalidInputError(f"entity.{name}: the model knows no such column", hint=hint, field=f"entity.{name}")
    empty = {column.name: "" for column in decoder.columns if column.type in ("string", "category")}
    return decoder.read_values([{**empty, **held}], "entity", lambda _, column: f"entity.{column}")
