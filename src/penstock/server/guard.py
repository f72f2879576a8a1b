"""The outermost layer of the server: who may talk to it at all, and how every failure looks."""

import hmac
import logging
import re
from collections.abc import Container
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.core import codec
from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import (
    InvalidInputError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from penstock.core.identity import Actor, Role
from penstock.core.ids import new_id
from penstock.serving.http import MethodNotAllowedError

log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d+)?")

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'",
    ),
]


class HostGuard:
    """Refuses requests that another web page made a browser send: unknown Host, or a foreign Origin; on every verb."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self._app = app
        self._hosts = {*LOOPBACK, "[::1]", config.host, f"[{config.host}]"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_security_headers(send)
        refusal = self._find_refusal(Headers(scope=scope))
        if refusal is not None:
            await error_response(PermissionDeniedError(refusal))(scope, receive, send)
        elif _CONTROL.search(scope["path"]):  # the router would drop a line break at the end, and so mean another name
            await error_response(InvalidInputError("the path holds a control character"))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _find_refusal(self, headers: Headers) -> str | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) > 1 or len(origins) > 1:
            return "a request has one Host and at most one Origin"
        host = "".join(hosts)
        named = _HOST.fullmatch(host)
        if named is None or named[1] not in self._hosts:
            return f"this server does not answer to the host name {host[:200]!r}"
        if origins and origins[0] not in (f"http://{host}", f"https://{host}"):
            return "a page of another origin sent this"
        # An image or script of another site: a browser sends no Origin with it. A link that a person follows is fine.
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "a page of another site asked for this"
        return None


def _with_security_headers(send: Send) -> Send:
    async def send_guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(h for h in SECURITY_HEADERS if h[0] not in present)]
        await send(message)

    return send_guarded


class TokenGuard:
    """Asks every request for the token, where one is set, before an application that knows nothing of tokens.

    Args:
        app: the application behind it.
        config: the token; empty: nothing is asked for.
        open_paths: what a load balancer may look at without a token.
    """

    def __init__(self, app: ASGIApp, config: Config, open_paths: Container[str] = ()) -> None:
        self._app = app
        self._has_token = bool(config.token)
        self._identify = Identifier(config, Actor("caller", Role.CONTRIBUTOR))
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if self._has_token and scope["type"] == "http" and scope["path"] not in self._open_paths:
            try:
                self._identify(Request(scope))
            except UnauthenticatedError as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Identifier:
    """Tells who makes a request: the owner of the machine on loopback, or whoever shows the token."""

    def __init__(self, config: Config, owner: Actor) -> None:
        self._token = config.token.encode()
        self._owner = owner

    def __call__(self, request: Request) -> Actor:
        """The actor of a request.

        Raises:
            UnauthenticatedError: a token is asked for, and none or a wrong one was shown.
        """
        if self._token:
            shown = request.headers.get("authorization", "").partition("Bearer ")[2]
            if not hmac.compare_digest(shown.encode(), self._token):
                raise UnauthenticatedError("this server asks for a token", hint="send 'Authorization: Bearer TOKEN'")
        name = request.headers.get("x-penstock-actor", "")  # the processes of this project name themselves
        return Actor(name[:100], Role.ADMIN) if name else self._owner


def error_response(error: PenstockError) -> Response:
    """An error as every answer shows it: code, message, hint, field; never a trace or a path of the server."""
    body: dict[str, Any] = {"error_code": error.code, "message": error.message}
    if error.hint:
        body["hint"] = error.hint
    if isinstance(error, InvalidInputError) and error.field:
        body["field"] = error.field
    headers = {"retry-after": f"{error.retry_after_s:.0f}"} if isinstance(error, UnavailableError) else None
    return Response(codec.encode(body), status_code=error.http_status, media_type="application/json", headers=headers)


async def answer_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for every error of this project."""
    if not isinstance(error, PenstockError) or error.http_status == 500:
        return await answer_failure(request, error)
    return error_response(error)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The router's own refusals: no such path, or not with this method."""
    path = request.url.path
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "GET")
        answer = error_response(MethodNotAllowedError(request.method, path, allowed))
        answer.headers["allow"] = allowed
        return answer
    return error_response(NotFoundError(f"nothing is at {path}"))


async def answer_failure(request: Request, error: Exception) -> Response:
    """The catch-all for programs."""
    return error_response(describe_failure(request, error))


def describe_failure(request: Request, error: Exception) -> PenstockError:
    """What to say of an error that nobody expected: the log has the trace, the caller a number to ask for."""
    number = new_id()
    log.error("request failed", exc_info=error, extra={"request": number, "path": request.url.path})
    return PenstockError("something went wrong here", hint=f"the server's log has it under {number}")
