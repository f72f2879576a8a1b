"""Requests as records: from the path, the query or a JSON body."""

import functools
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, structs
from starlette.types import Scope

from penstock.core.errors import InvalidInputError
from penstock.server.bodies import read_body
from penstock.server.plain_values import DEPTH_LIMIT, check_values
from penstock.server.protocols.mlflow.endpoint import Call
from penstock.server.protocols.mlflow.errors import explain
from penstock.serving.http import headers_of

T = TypeVar("T", bound=Struct)
_NUMBERS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_EXTREME_NUMBERS = (b"0" * 19, b"e000", b"e+000")


async def decode(call: Call, kind: type[Struct]) -> Struct:
    """The request's record, from its path, its query (of a GET) or its JSON body.

    Raises:
        InvalidInputError: a value is missing, does not fit or cannot be kept, or the body is no JSON object.
    """
    if call.scope["method"] in ("GET", "HEAD"):
        return to_record(read_query(call.scope, kind) | call.path, kind)
    body = await read_body(call.receive)
    if not body.strip():
        return to_record(call.path, kind)
    check_json_type(call.scope)
    if not call.path and is_plain(body):
        try:
            record: Struct = _decoder(kind).decode(body)
            return record
        except msgspec.DecodeError:
            pass  # the long way says what is wrong
    given = parse_object(body)
    return to_record(given | call.path, kind) if call.path else _convert(given, kind)


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


@functools.cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind, strict=False)


def is_plain(body: bytes) -> bool:
    """Whether a body can hold nothing that `parse_object` refuses or drops, so that its record is all there is to it.

    A NUL or half a surrogate pair would be escaped, a number out of range is long, and a deep nest has its brackets.
    """
    if not body.isascii() or b"\\" in body or b"null" in body or body.count(b"{") + body.count(b"[") > DEPTH_LIMIT:
        return False
    alike = body.translate(_NUMBERS_ALIKE)
    return not any([number in alike for number in _EXTREME_NUMBERS])


def check_json_type(scope: Scope) -> None:
    """Refuse a body that does not say it is JSON: a form of another page could send that without asking."""
    headers = headers_of(scope)
    kind = headers.get(b"content-type", b"")
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        told = kind.partition(b";")[0].strip().lower().decode("latin-1")
        raise InvalidInputError(f"Bad Request. Content-Type must be 'application/json', got {told[:80]!r}")
    if headers.get(b"content-encoding", b"identity") != b"identity":
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


def read_query(scope: Scope, kind: type[Struct]) -> dict[str, Any]:
    """Query parameters; one that is a list may be repeated."""
    types = {field.name: str(field.type) for field in structs.fields(kind)}
    lists = {name for name, text in types.items() if "list" in text or "tuple" in text}
    try:
        text = scope["query_string"].decode("ascii")
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
