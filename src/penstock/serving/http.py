"""What the gateway's protocols need of HTTP: a request, an answer, and the refusals that have no place elsewhere."""

from collections.abc import Mapping

from msgspec import Struct, field

from penstock.core.errors import PenstockError

JSON = "application/json"
ID_HEADER = "x-penstock-prediction-id"


class HttpRequest(Struct, frozen=True):
    """One request, its body read."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """The media type without its parameters; JSON when none is named."""
        return self.headers.get("content-type", JSON).partition(";")[0].strip().lower() or JSON


class HttpAnswer(Struct, frozen=True):
    """One answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON


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


class OverloadedError(PenstockError):
    """More requests are under way than the gateway takes."""

    code = "OVERLOADED"
    http_status = 429


class ModelFailedError(PenstockError):
    """The model could not answer, and nothing could in its place. `prediction_id` is where this is logged."""

    code = "MODEL_FAILED"
    http_status = 500

    def __init__(self, message: str, *, hint: str = "", prediction_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.prediction_id = prediction_id
