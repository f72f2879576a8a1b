"""What a protocol of the gateway has to offer, and the JSON form of refusals that several share."""

from typing import Any, Protocol

from penstock.core import codec
from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError, UnavailableError
from penstock.serving.calls import Answer, Call
from penstock.serving.http import ID_HEADER, Headers, HttpAnswer, HttpRequest, MethodNotAllowedError, ModelFailedError
from penstock.serving.live import RoutingTable

DEPLOYMENT_HEADER = b"x-penstock-deployment"
STATUS_HEADER = b"x-penstock-status"


class ServingProtocol(Protocol):
    """One way to speak to the gateway. Has no state; paths come without a trailing slash."""

    def find_methods(self, path: str) -> tuple[str, ...]:
        """The methods of a path, GET or POST or both; none for a path that is not of this protocol."""
        ...

    def look(self, request: HttpRequest, table: RoutingTable) -> HttpAnswer:
        """Answer a GET."""
        ...

    def read(self, request: HttpRequest) -> Call:
        """What a POST asks for.

        Raises:
            PenstockError: it is no request of this protocol.
        """
        ...

    def write(self, call: Call, answer: Answer) -> HttpAnswer:
        """The predictions as this protocol gives them."""
        ...

    def refuse(self, error: PenstockError) -> HttpAnswer:
        """An error as this protocol gives it."""
        ...


def refuse_with_code(error: PenstockError) -> HttpAnswer:
    """`{"error_code", "message"}`, and `hint`, `field` and `prediction_id` where they are known."""
    body = {"error_code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, InvalidInputError):
        body["field"] = error.field
    if isinstance(error, ModelFailedError):
        body["prediction_id"] = error.prediction_id
    return HttpAnswer(error.http_status, codec.encode({k: v for k, v in body.items() if v}), error_headers(error))


def error_headers(error: PenstockError) -> Headers:
    """The headers that belong to an error."""
    if isinstance(error, MethodNotAllowedError):
        return {b"allow": error.allowed.encode()}
    if isinstance(error, UnavailableError):
        return {b"retry-after": b"%d" % max(1, round(error.retry_after_s))}
    if isinstance(error, ModelFailedError) and error.prediction_id:
        return {ID_HEADER: error.prediction_id.encode()}
    return {}


def answer_headers(answer: Answer) -> Headers:
    """The id of the (first) prediction, who answered, and whether something simpler did for a model that failed."""
    headers = {ID_HEADER: answer.predictions[0].id.encode(), DEPLOYMENT_HEADER: answer.deployment.name.encode()}
    if answer.has_fallback:
        headers[STATUS_HEADER] = b"fallback"
    return headers


def describe(answer: Answer) -> dict[str, Any]:
    """What protocols with a list of predictions say beside it: ids, and where something simpler did, each status."""
    held: dict[str, Any] = {"prediction_ids": answer.ids}
    if answer.has_fallback:
        held["statuses"] = [item.status for item in answer.predictions]
    return held


def not_found(path: str) -> NotFoundError:
    """There is nothing at this path."""
    return NotFoundError(
        f"there is nothing at {path}", hint="predictions are at /predict/DEPLOYMENT, /v2, /invocations"
    )
