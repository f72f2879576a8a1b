"""Who makes a request: the owner of the machine on loopback, or whoever shows a token or signed in with one."""

import asyncio
import base64
import binascii
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Container
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.core.config import LOOPBACK, Config
from penstock.core.errors import PenstockError, PermissionDeniedError, UnauthenticatedError
from penstock.core.identity import Actor, Role
from penstock.governance.tokens.book import SERVER_TOKEN, TokenBook
from penstock.governance.tokens.text import PREFIX, is_token_text
from penstock.server.guard import SAFE_METHODS, error_response
from penstock.serving.http import headers_of

log = logging.getLogger(__name__)
COOKIE = "penstock_session"
ACTOR = "penstock.actor"  # in a scope: who `Authenticator` found
FRESH_S, STALE_S = 0.4, 0.8  # what was read of tokens is read again after the one, and not trusted after the other
_ASKS = "send 'Authorization: Bearer TOKEN', or the token as the password of Basic"


class Identifier:
    """Tells who makes a request.

    Args:
        config: the server's own token; empty: the machine's owner needs none, while `book` knows of none either.
        owner: who a request without a token comes from.
        book: the tokens that were issued; None where only the server's own counts.
        owner_token: a second token of the owner, which this machine's processes read from the home folder.
    """

    def __init__(self, config: Config, owner: Actor, book: TokenBook | None = None, owner_token: str = "") -> None:
        self._own = [token.encode() for token in (config.token, owner_token) if token]
        self._always_asks = bool(config.token) or config.host not in LOOPBACK
        self._owner = owner
        self._book = book

    @property
    def asks(self) -> bool:
        """Whether a request has to show who makes it."""
        return self._always_asks or (self._book is not None and self._book.knows_any)

    def __call__(self, request: Request) -> Actor:
        """The actor of a request.

        Raises:
            UnauthenticatedError: a token is asked for, and none or a wrong one was shown.
        """
        return self.find(request.scope)

    def find(self, scope: Scope) -> Actor:
        """The same from the scope itself; `Authenticator` may have found it already."""
        found: Actor | None = scope.get(ACTOR)
        if found is not None:
            return found
        shown = headers_of(scope)
        authorization = shown.get(b"authorization")
        if authorization is not None:
            if [name for name, _ in scope["headers"]].count(b"authorization") > 1:
                raise UnauthenticatedError("a request shows one token", hint=_ASKS)
            return self._find_by_token(read_authorization(authorization), shown)
        if self.asks:
            cookie = read_cookie(shown.get(b"cookie", b""))
            if cookie:
                return self._find_by_session(cookie, scope["method"], shown)
            raise UnauthenticatedError("this server asks for a token", hint=_ASKS)
        return self._name(shown)

    def find_token_id(self, text: str) -> str | None:
        """Which token this is: an issued one's id, `SERVER_TOKEN` for the server's own; None when it is not good."""
        if self._is_own(text):
            return SERVER_TOKEN
        return self._book.find_token_id(text) if self._book is not None else None

    def _find_by_token(self, text: str, shown: dict[bytes, bytes]) -> Actor:
        actor = self._book.find(text) if self._book is not None and text.startswith(PREFIX) else None
        if actor is not None:
            return actor
        if (self.asks or text.startswith(PREFIX)) and not self._is_own(text):
            is_whole = not text.startswith(PREFIX) or is_token_text(text)
            told = "unknown, ended or revoked" if is_whole else "it was mistyped or cut"
            raise UnauthenticatedError(f"this token is not good here: {told}", hint=_ASKS)
        return self._name(shown)

    def _find_by_session(self, cookie: str, method: str, shown: dict[bytes, bytes]) -> Actor:
        found = self._book.find_session(cookie) if self._book is not None else None
        if found is None:
            raise UnauthenticatedError("this session is over", hint="sign in again")
        if (
            method not in SAFE_METHODS and b"origin" not in shown
        ):  # another page's was refused before; only ours may ask this
            raise PermissionDeniedError("a browser says which page asks for a change, and this request does not")
        return found if isinstance(found, Actor) else self._owner

    def _is_own(self, text: str) -> bool:
        return any([hmac.compare_digest(text.encode("utf-8", "surrogateescape"), token) for token in self._own])

    def _name(self, shown: dict[bytes, bytes]) -> Actor:
        name = shown.get(b"x-penstock-actor")  # the processes of this project name themselves
        return Actor(name.decode("latin-1")[:100], Role.ADMIN) if name else self._owner


class Authenticator:
    """Finds out who makes a request, and answers 401 to whoever has to show a token and does not.

    Nothing behind it is reached by a stranger, whatever it asks or forgets to ask itself.

    Args:
        app: the application behind it.
        identifier: who makes a request.
        book: read again while requests come.
        open_paths: what answers everybody, beside `/static`.
        refuse: the answer to a stranger.
    """

    def __init__(
        self,
        app: ASGIApp,
        identifier: Identifier,
        book: TokenBook,
        open_paths: Container[str],
        refuse: Callable[[Request, PenstockError], Any],
    ) -> None:
        self._app = app
        self._identifier = identifier
        self._book = book
        self._open_paths = open_paths
        self._refuse = refuse
        self._reading: asyncio.Future[None] | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on with its actor, or answer 401."""
        if scope["type"] != "http" or scope["path"] in self._open_paths or scope["path"].startswith("/static/"):
            return self._app(scope, receive, send)
        age_s = time.monotonic() - self._book.read_at
        if age_s > FRESH_S:
            self._read_again()
            if age_s > STALE_S:  # what the book holds is too old to be trusted
                return self._wait(scope, receive, send)
        return self._let_in(scope, receive, send)

    def _let_in(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        try:
            scope[ACTOR] = self._identifier.find(scope)
        except PenstockError as error:
            answer: Awaitable[None] = self._refuse(Request(scope), error)(scope, receive, send)
            return answer
        return self._app(scope, receive, send)

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._reading is not None
        try:
            await asyncio.shield(self._reading)
        except PenstockError as error:
            await self._refuse(Request(scope), error)(scope, receive, send)
        else:
            await self._let_in(scope, receive, send)

    def _read_again(self) -> None:
        """Have the book read, unless that is under way."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(run_in_threadpool(self._book.read))
            self._reading.add_done_callback(_tell_failure)


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

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, or answer 401."""
        if self._has_token and scope["type"] == "http" and scope["path"] not in self._open_paths:
            try:
                self._identify.find(scope)
            except UnauthenticatedError as error:
                return error_response(error)(scope, receive, send)
        return self._app(scope, receive, send)


def read_authorization(header: bytes) -> str:
    """The token of an `Authorization` header: after `Bearer`, or the password of `Basic`; empty when there is none."""
    kind, _, value = header.decode("latin-1").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def read_cookie(header: bytes) -> str:
    """The value of our cookie; empty when the browser sent none."""
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _tell_failure(reading: "asyncio.Future[None]") -> None:
    error = None if reading.cancelled() else reading.exception()
    if error is not None:
        log.warning("the tokens cannot be read just now: %s", error)
