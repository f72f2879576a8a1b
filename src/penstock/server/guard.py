"""The outermost layer of the server: who may talk to it at all, and how every failure looks."""

import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_address
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.core import codec
from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import (
    InvalidInputError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from penstock.core.ids import new_id
from penstock.serving.http import MethodNotAllowedError, headers_of

log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Basic is taken, too, but naming it here would make browsers ask with a window of their own.
CHALLENGE = 'Bearer realm="penstock"'
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d+)?")

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
MOST_WAITING_WRITES = 2_000  # as many as are done in one group

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
_SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)


class WriteLimit:
    """Answers 429 to changes while too many of them wait, so that those that wait are done in time; reading goes on.

    Args:
        app: the application behind it.
        waiting: how many writes are queued.
    """

    def __init__(self, app: ASGIApp, waiting: Callable[[], int]) -> None:
        self._app = app
        self._waiting = waiting

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it for now."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and self._waiting() > MOST_WAITING_WRITES:
            return error_response(OverloadedError("too many writes are waiting"))(scope, receive, send)
        return self._app(scope, receive, send)


class HostGuard:
    """Refuses requests that another web page made a browser send: unknown Host, or a foreign Origin; on every verb.

    Everything passes here, so a request costs one dict of its headers, and a set of those that matter that was let in
    before is let in at once. What only passes a request on, here and behind, is no coroutine of its own.

    Args:
        app: the application behind it.
        config: the host names it answers to.
        has_pages: whether browsers show what it answers; then every answer says what they may do with it.
    """

    def __init__(self, app: ASGIApp, config: Config, *, has_pages: bool = True) -> None:
        self._app = app
        self._has_pages = has_pages
        self._hosts = {*LOOPBACK, "[::1]", config.host, f"[{config.host}]", *config.host_names}
        self._answers_to_addresses = config.host not in LOOPBACK
        self._passed: set[_Shown] = set()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if self._has_pages:
            send = partial(_send_guarded, send)
        refusal = self._find_refusal(scope)
        if refusal is None:
            return self._app(scope, receive, send)
        return error_response(refusal)(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> PenstockError | None:
        headers = headers_of(scope)
        if len(headers) != len(scope["headers"]) and _is_repeated(scope, (b"host", b"origin")):
            return _TWICE
        if not scope["path"].isprintable() and _CONTROL.search(scope["path"]):
            # The router would drop a line break at the end, and so mean another name.
            return _ODD_PATH
        find = headers.get
        shown = (find(b"host"), find(b"origin"), find(b"sec-fetch-site"), find(b"sec-fetch-mode"))
        if shown in self._passed:
            return None
        refusal = self._judge(*(_text(value) for value in shown))
        if refusal is None and sum(len(value or b"") for value in shown[2:]) < _LONGEST_REMEMBERED:
            if len(self._passed) >= _MOST_REMEMBERED:
                self._passed.clear()
            self._passed.add(shown)
        return refusal

    def _judge(self, host: str, origin: str, site: str, mode: str) -> PermissionDeniedError | None:
        if not self._is_ours(host):
            return PermissionDeniedError(
                f"this server does not answer to the host name {host[:200]!r}",
                hint="whoever runs it can name it with --allow-host, or in PENSTOCK_HOSTS",
            )
        if origin and origin not in (f"http://{host}", f"https://{host}"):
            return PermissionDeniedError("a page of another origin sent this")
        # An image or script of another site: a browser sends no Origin with it. A link that a person follows is fine.
        if site == "cross-site" and mode != "navigate":
            return PermissionDeniedError("a page of another site asked for this")
        return None

    def _is_ours(self, host: str) -> bool:
        named = _HOST.fullmatch(host)
        if named is None:
            return False
        # Another site's name can be made to lead here, but an address is only ever itself.
        return named[1].lower() in self._hosts or (self._answers_to_addresses and _is_address(named[1]))


_Shown = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
_MOST_REMEMBERED = 1_000
_LONGEST_REMEMBERED = 100  # bytes
_TWICE = PermissionDeniedError("a request has one Host and at most one Origin")
_ODD_PATH = InvalidInputError("the path holds a control character")


def _is_repeated(scope: Scope, names: tuple[bytes, ...]) -> bool:
    given = [name for name, _ in scope["headers"]]
    return any(given.count(name) > 1 for name in names)


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("latin-1")


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _send_guarded(send: Send, message: Any) -> Awaitable[None]:
    """Send, with the security headers where the answer does not say otherwise."""
    if message["type"] == "http.response.start":
        given, more = message["headers"], SECURITY_HEADERS
        names = dict(given)
        if not _SECURITY_NAMES.isdisjoint(names):
            more = [header for header in more if header[0] not in names]
        message["headers"] = [*given, *more]
    return send(message)


def error_response(error: PenstockError) -> Response:
    """An error as every answer shows it: code, message, hint, field; never a trace or a path of the server."""
    body: dict[str, Any] = {"error_code": error.code, "message": error.message}
    if error.hint:
        body["hint"] = error.hint
    if isinstance(error, InvalidInputError) and error.field:
        body["field"] = error.field
    headers = {}
    if isinstance(error, UnavailableError):
        headers["retry-after"] = f"{error.retry_after_s:.0f}"
    elif isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = CHALLENGE
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
