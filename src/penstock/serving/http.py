"""What the gateway's protocols need of HTTP: a request, an answer, and the refusals that have no place elsewhere."""

from collections.abc import MutableMapping
from typing import Any

from msgspec import Struct, field

from penstock.core.errors import PenstockError, UnavailableError

JSON = b"application/json"
ID_HEADER = b"x-penstock-prediction-id"
_HEADERS = "penstock.headers"

Headers = dict[bytes, bytes]  # names in lower case; as bytes, since most are never looked at


def headers_of(scope: MutableMapping[str, Any]) -> Headers:
    """The headers of an ASGI request by name, made once; of those of one name the last."""
    known: Headers | None = scope.get(_HEADERS)
    if known is None:
        known = scope[_HEADERS] = dict(scope["headers"])
    return known


class HttpRequest(Struct, frozen=True):
    """One request, its body read."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""

    @property
    def content_type(self) -> bytes:
        """The media type without its parameters; JSON when none is named."""
        given = self.headers.get(b"content-type", JSON)
        return JSON if given == JSON else given.partition(b";")[0].strip().lower() or JSON


class HttpAnswer(Struct, frozen=True):
    """One answer."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=dict)
    content_type: bytes = JSON


class BadRequestError(PenstockError):
    """The request is no request of this protocol: broken JSON, or not one of its forms."""

    code = "BAD_REQUEST"
    http_status = 400


class MethodNotAllowedError(PenstockError):
    """The path is there, but not for this method."""

    code = "METHOD_NOT_ALLOWED"
    http_status = 405

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(f"{path} does not take {method}", hint=f"use {allowed}")
        self.allowed = allowed


class NotAcceptableError(PenstockError):
    """The answer is asked for in a form that is not given here."""

    code = "NOT_ACCEPTABLE"
    http_status = 406


class BodyTimeoutError(PenstockError):
    """The body did not arrive in time."""

    code = "REQUEST_TIMEOUT"
    http_status = 408


class UnsupportedMediaTypeError(PenstockError):
    """The body is of a kind that is not read here."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    http_status = 415


class OverloadedError(UnavailableError):
    """More is asked for than can be answered soon; what was asked was not begun."""

    code = "OVERLOADED"
    http_status = 429


class DeadlineError(PenstockError):
    """The caller's time was over before the model was asked."""

    code = "DEADLINE_EXCEEDED"
    http_status = 504


class ModelFailedError(PenstockError):
    """The model could not answer, and nothing could in its place. `prediction_id` is where this is logged."""

    code = "MODEL_FAILED"
    http_status = 500

    def __init__(self, message: str, *, hint: str = "", prediction_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.prediction_id = prediction_id
