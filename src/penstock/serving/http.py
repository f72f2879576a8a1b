"""What the gateway's protocols need of HTTP: a request, an answer, and the refusals that have no place elsewhere."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from msgspec import Struct, field

from penstock.core.errors import PenstockError, UnavailableError

JSON = "application/json"
ID_HEADER = "x-penstock-prediction-id"
_HEADERS = "penstock.headers"


def headers_of(scope: MutableMapping[str, Any]) -> dict[bytes, bytes]:
    """The headers of an ASGI request by name, made once; of those of one name the last."""
    known: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if known is None:
        known = scope[_HEADERS] = dict(scope["headers"])
    return known


class Headers(Mapping[str, str]):
    """The headers of a request, names in lower case; of those of one name the last. Made text only when asked for."""

    __slots__ = ("_given",)

    def __init__(self, given: dict[bytes, bytes]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> str:
        """The value of that name."""
        return self._given[name.encode("latin-1")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        """The value of that name, or the default."""
        found = self._given.get(name.encode("latin-1"))
        return default if found is None else found.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return (name.decode("latin-1") for name in self._given)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._given)


class HttpRequest(Struct, frozen=True):
    """One request, its body read."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """The media type without its parameters; JSON when none is named."""
        given = self.headers.get("content-type", JSON)
        return JSON if given == JSON else given.partition(";")[0].strip().lower() or JSON


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
