"""Requests as records: from the path, the query or a JSON body."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, structs
from starlette.datastructures import Headers
from starlette.requests import Request

from penstock.core.errors import InvalidInputError
from penstock.server.bodies import read_body
from penstock.server.plain_values import DEPTH_LIMIT, check_values
from penstock.server.protocols.mlflow.errors import explain

T = TypeVar("T", bound=Struct)


async def decode(request: Request, kind: type[Struct], path: dict[str, str]) -> Struct:
    """The request's record, from its path, its query (of a GET) or its JSON body.

    Raises:
        InvalidInputError: a value is missing, does not fit or cannot be kept, or the body is no JSON object.
    """
    if request.method in ("GET", "HEAD"):
        return to_record(read_query(request, kind) | path, kind)
    given = await _read_json(request)
    return to_record(given | path, kind) if path else _convert(given, kind)


def to_record(given: dict[str, Any], kind: type[T]) -> T:
    """Plain values as a record.

    Raises:
        InvalidInputError: a value is missing, does not fit or cannot be kept.
    """
    check_values(given)
    return _convert(given, kind)


def _convert(given: dict[str, Any], kind: type[T]) -> T:
    """As `to_record`, for values that were checked."""
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error, given, kind) from error


async def _read_json(request: Request) -> dict[str, Any]:
    body = await read_body(request)
    if not body.strip():
        return {}
    check_json_type(request.headers)
    return parse_object(body)


def check_json_type(headers: Headers) -> None:
    """Refuse a body that does not say it is JSON: a form of another page could send that without asking."""
    kind, encoding = b"", b"identity"
    for name, value in headers.raw:  # looking names up one by one takes three times as long
        if name == b"content-type":
            kind = value
        elif name == b"content-encoding":
            encoding = value
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        told = kind.partition(b";")[0].strip().lower().decode("latin-1")
        raise InvalidInputError(f"Bad Request. Content-Type must be 'application/json', got {told[:80]!r}")
    if encoding != b"identity":
        raise InvalidInputError("a compressed body is not read here", hint="send it as it is")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, without its nulls: a field that is null is one that is not there.

    Bare NaN, Infinity and numbers beyond a float are refused, as is any other value.
    """
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"the body is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidInputError(f"the body is no JSON object but {type(given).__name__}")
    check_values(given)  # before anything else goes as deep as it is nested
    return _without_nulls(given)  # type: ignore[no-any-return]


def _without_nulls(value: Any, depth: int = 0) -> Any:
    if depth > DEPTH_LIMIT:
        raise InvalidInputError(f"the body is nested more than {DEPTH_LIMIT} deep")
    if isinstance(value, dict):
        return {name: _without_nulls(held, depth + 1) for name, held in value.items() if held is not None}
    if isinstance(value, list):
        return [_without_nulls(held, depth + 1) for held in value]
    return value


def read_query(request: Request, kind: type[Struct]) -> dict[str, Any]:
    """Query parameters; one that is a list may be repeated."""
    types = {field.name: str(field.type) for field in structs.fields(kind)}
    lists = {name for name, text in types.items() if "list" in text or "tuple" in text}
    try:
        text = request.scope["query_string"].decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=10_000)
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInputError(f"the query of this request cannot be read: {error}") from error
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            given.setdefault(name, []).append(value)
        elif value in ("True", "False") and "bool" in types.get(name, ""):  # as MLflow's client writes them
            given[name] = value.lower()
        else:
            given[name] = value
    return given
