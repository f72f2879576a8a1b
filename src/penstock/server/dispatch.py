"""Turns the route table into HTTP handlers: decode by the verb's signature, run as the actor, encode the answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from penstock.core import codec
from penstock.core.errors import InvalidInputError, PermissionDeniedError
from penstock.core.identity import Actor
from penstock.core.routes import Route
from penstock.server.bodies import read_body
from penstock.server.plain_values import check_values, in_utc
from penstock.serving.http import UnsupportedMediaTypeError
from penstock.storage.verbs import BoundVerb, Service, Verb, verb_of

API = "/api/v1"
_JSON = "application/json"
Identify = Callable[[Request], Actor]


def http_routes(
    routes: Mapping[str, list[Route]], services: Mapping[str, Service], identify: Identify
) -> list[HttpRoute]:
    """One Starlette route for each route of the table.

    Args:
        routes: by the name of the service.
        services: the objects whose verbs the routes lead to, by the same names.
        identify: who makes a request.
    """
    return [
        HttpRoute(API + route.path, _handler(route, services[name], identify), methods=[route.method])
        for name, table in routes.items()
        for route in table
    ]


def _handler(route: Route, service: Service, identify: Identify) -> Callable[[Request], Awaitable[Response]]:
    verb = verb_of(route)
    bound: BoundVerb[Any, Any] = BoundVerb(verb, service)

    async def handle(request: Request) -> Response:
        actor = identify(request)
        if actor.role < route.needs:
            raise PermissionDeniedError(
                f"{route.method} {route.path} needs the role {route.needs.name.lower()}",
                hint=f"{actor.name} has the role {actor.role.name.lower()}",
            )
        body = b"" if route.method == "GET" else await read_body(request.receive)
        if body:
            _check_media_type(request.headers.get("content-type", ""))
        arguments = decode_arguments(route, verb, request.path_params, request.query_params, body)
        if verb.is_read:
            result = await run_in_threadpool(lambda: bound.run_as(actor, arguments).result())
        else:
            key = request.headers.get("idempotency-key", "")
            result = await asyncio.wrap_future(bound.run_as(actor, arguments, key=key))
        return Response(codec.encode(result), media_type=_JSON)

    return handle


def decode_arguments(
    route: Route, verb: Verb[Any, Any], path: Mapping[str, str], query: Mapping[str, str], body: bytes
) -> msgspec.Struct:
    """The verb's arguments from a request's path, query and body.

    Raises:
        InvalidInputError: an argument is missing, unknown, of another type or not to be kept; `field` names it.
    """
    given: dict[str, Any] = {}
    if body:
        given = codec.decode(body, dict[str, Any])
    texts = dict(path) if route.method != "GET" else {**query, **path}
    repeated = sorted(given.keys() & texts.keys())
    if repeated:
        raise InvalidInputError(f"{repeated[0]} is given in the path and again in the body", field=repeated[0])
    types = {field.name: field.type for field in msgspec.structs.fields(verb.arguments)}
    for name, text in texts.items():
        given[name] = _convert_text(name, text, types[name]) if name in types else text
    check_values(given)
    arguments: msgspec.Struct = in_utc(codec.convert(given, verb.arguments))
    return arguments


def _check_media_type(text: str) -> None:
    """Refuse what a form of another page could send without asking."""
    kind = text.partition(";")[0].strip().lower()
    if kind not in ("", _JSON):
        raise UnsupportedMediaTypeError(f"a body of type {kind[:80]!r} is not read here", hint=f"send {_JSON}")


def _convert_text(name: str, text: str, kind: Any) -> Any:
    try:
        return msgspec.to_builtins(msgspec.convert(text, kind, strict=False))
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"{name}: {str(error).lower()}, got {text!r}", field=name) from error
