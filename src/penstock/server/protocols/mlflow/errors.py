"""Our errors under the names and codes that MLflow's clients branch on."""

import json
import re
from typing import Any

import msgspec
from msgspec import Struct, structs
from starlette.responses import Response

from penstock.core.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    StorageFullError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)

_MISSING = re.compile(r"Object missing required field `(\w+)`")
_EMPTY = re.compile(r"Expected `\w+` of length >= 1")
_PLACE = re.compile(r" - at `\$\.?(.*?)`$")


class EndpointNotFoundError(NotFoundError):
    """The protocol has no such path here; clients turn to an older form of the call."""


# The first that fits; (name in the protocol, status)
_CODES: list[tuple[type[PenstockError], str, int]] = [
    (EndpointNotFoundError, "ENDPOINT_NOT_FOUND", 404),
    (NotFoundError, "RESOURCE_DOES_NOT_EXIST", 404),
    (AlreadyExistsError, "RESOURCE_ALREADY_EXISTS", 400),
    (ConflictError, "INVALID_PARAMETER_VALUE", 400),
    (InvalidInputError, "INVALID_PARAMETER_VALUE", 400),
    (TooLargeError, "INVALID_PARAMETER_VALUE", 413),
    (UnauthenticatedError, "UNAUTHENTICATED", 401),
    (PermissionDeniedError, "PERMISSION_DENIED", 403),
    (StorageFullError, "TEMPORARILY_UNAVAILABLE", 507),
    (UnavailableError, "TEMPORARILY_UNAVAILABLE", 503),
]


def answer_error(error: PenstockError) -> Response:
    """The answer that a client of this protocol understands."""
    name, status = next(
        ((name, status) for kind, name, status in _CODES if isinstance(error, kind)), ("INTERNAL_ERROR", 500)
    )
    body = msgspec.json.encode({"error_code": name, "message": str(error)})
    headers: dict[str, str] = {}
    if isinstance(error, UnavailableError):
        headers["retry-after"] = f"{error.retry_after_s:.0f}"
    if isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = 'Basic realm="penstock"'
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def missing(parameter: str) -> InvalidInputError:
    """A parameter that the call cannot do without."""
    return InvalidInputError(
        f"Missing value for required parameter '{parameter}'. "
        "See the API docs for more information about request parameters.",
        field=parameter,
    )


def invalid(parameter: str, value: Any, reason: str = "") -> InvalidInputError:
    """A parameter that cannot be what it is; the value is told as JSON."""
    shown = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 200 else shown[:197] + "..."
    told = f"Invalid value {shown} for parameter '{parameter}' supplied"
    return InvalidInputError(f"{told}: {reason}" if reason else told, field=parameter)


def explain(error: msgspec.ValidationError, given: dict[str, Any], kind: type[Struct]) -> InvalidInputError:
    """A request that does not fit its record, in the protocol's words; what is missing comes before what is wrong."""
    text = str(error)
    found = _PLACE.search(text)
    place = found.group(1) if found else ""
    fields = structs.fields(kind)
    lacking = {field.encode_name for field in fields if field.required and field.encode_name not in given}
    if _EMPTY.match(text):
        lacking.add(place)
    for name in (*(field.encode_name for field in fields), place):
        if name in lacking:
            return missing(name)
    absent = _MISSING.match(text)
    if absent:
        return missing(f"{place}.{absent[1]}" if place else absent[1])
    reason = _PLACE.sub("", text)
    return invalid(place or "body", _value_at(given, place), reason[:1].lower() + reason[1:])


def _value_at(given: Any, place: str) -> Any:
    """What stands at `metrics[0].step` of plain values; the whole where the way is lost."""
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", place):
        try:
            given = given[key] if key else given[int(index)]
        except (KeyError, IndexError, TypeError):
            break
    return given
