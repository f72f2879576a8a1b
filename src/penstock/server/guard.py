"""The outermost layer of the server: who may talk to it at all, and how every failure looks."""

import hmac
import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.core import codec
from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import (
    InvalidInputError,
    PenstockError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from penstock.core.identity import Actor, Role
from penstock.core.ids import new_id

log = logging.getLogger(__name__)

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
        self._hosts = {*LOOPBACK, "[::1]", config.host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
        host = headers.get(b"host", "")
        origin = headers.get(b"origin", "")
        send = _with_security_headers(send)
        if _name(host) not in self._hosts:
            error = PermissionDeniedError(f"this server does not answer to the host name {_name(host)!r}")
            await error_response(error)(scope, receive, send)
        elif origin and origin.partition("://")[2] != host:
            await error_response(PermissionDeniedError("a page of another origin sent this"))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _with_security_headers(send: Send) -> Send:
    async def send_guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(h for h in SECURITY_HEADERS if h[0] not in present)]
        await send(message)

    return send_guarded


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


async def answer_failure(request: Request, error: Exception) -> Response:
    """The catch-all for programs."""
    return error_response(describe_failure(request, error))


def describe_failure(request: Request, error: Exception) -> PenstockError:
    """What to say of an error that nobody expected: the log has the trace, the caller a number to ask for."""
    number = new_id()
    log.error("request failed", exc_info=error, extra={"request": number, "path": request.url.path})
    return PenstockError("something went wrong here", hint=f"the server's log has it under {number}")
