"""A service at the other end of an HTTP connection: the same verbs, each turned into a request by its route."""

import contextlib
import time
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from penstock.core import codec
from penstock.core.errors import (
    ERRORS,
    InvalidInputError,
    OverloadedError,
    PenstockError,
    UnavailableError,
    error_from_code,
)
from penstock.core.ids import new_id
from penstock.core.routes import Route
from penstock.storage.verbs import verb_of

API = "/api/v1"
_TRY_AGAIN = (UnavailableError.http_status, OverloadedError.http_status)


class Connection:
    """An HTTP connection to a server; a call that got no answer is repeated with the same idempotency key.

    Args:
        url: of the server, such as `http://127.0.0.1:5151`.
        token: shown with every request, when the server asks for one.
        actor: how this process names itself in the audit log; empty: as the server's owner.
        patience_s: how long to go on trying while the server cannot be reached.
        timeout_s: how long to wait for an answer.
    """

    def __init__(
        self, url: str, *, token: str = "", actor: str = "", patience_s: float = 5.0, timeout_s: float = 60.0
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if actor:
            headers["x-penstock-actor"] = actor
        self.url = url.rstrip("/")
        self.http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout_s,
            trust_env=False,
            verify=not self.url.startswith("http:"),  # without certificates to look at there are none to read
        )
        self._patience_s = patience_s

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request until there is an answer; an error answer is raised as the error it stands for.

        Raises:
            UnavailableError: no server answered in time.
            PenstockError: whatever the server refused, by its code.
        """
        deadline = time.monotonic() + self._patience_s
        pause_s = 0.05
        while True:
            try:
                response = self.http.request(method, path, **options)
                if response.status_code not in _TRY_AGAIN:
                    break
                failure: Exception = _error_of(response)
            except httpx.TransportError as error:
                failure = error
            if time.monotonic() + pause_s > deadline:
                raise _unreachable(self.url, failure) from failure
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 1.0)
        if response.is_error:
            raise _error_of(response)
        return response

    def close(self) -> None:
        """Close the connection."""
        self.http.close()


def _unreachable(url: str, failure: Exception) -> PenstockError:
    if isinstance(failure, PenstockError):
        return failure
    return UnavailableError(f"no penstock server answers at {url}", hint="start one with 'penstock up'")


def _error_of(response: httpx.Response) -> PenstockError:
    with contextlib.suppress(msgspec.DecodeError):
        body = msgspec.json.decode(response.content)
        if isinstance(body, dict) and "error_code" in body:
            error = error_from_code(body["error_code"], body.get("message", ""), hint=body.get("hint", ""))
            if isinstance(error, InvalidInputError):
                error.field = body.get("field", "")
            return error
    told = f"the server answered {response.status_code} {response.reason_phrase}"
    kind = next((error for error in ERRORS.values() if error.http_status == response.status_code), PenstockError)
    return kind(f"{told} to {response.request.method} {response.request.url.path}")  # an answer to HEAD has no body


class ServiceProxy:
    """Has the verbs of a service that routes lead to; `Services` types it as that service."""

    def __init__(self, connection: Connection, routes: list[Route]) -> None:
        self._connection = connection
        self._routes = {route.verb.name: route for route in routes}

    def __getattr__(self, name: str) -> Any:
        """The verb `name` as a function."""
        route = self._routes.get(name)
        if route is None:
            raise AttributeError(f"no route leads to {name!r}; a server offers: {', '.join(sorted(self._routes))}")
        return RemoteVerb(self._connection, route)


class RemoteVerb:
    """One verb of a service at the other end."""

    def __init__(self, connection: Connection, route: Route) -> None:
        self._connection = connection
        self._route = route
        self.verb = verb_of(route)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send the call and decode its answer."""
        given = codec.to_builtins(dict(self.verb.signature.bind(*args, **kwargs).arguments))
        path = API + self._route.path.replace(":path}", "}")
        for name in self._route.path_parameters:
            text = quote(str(given.pop(name)), safe="/" if ":path" in self._route.path else "")
            path = path.replace(f"{{{name}}}", "/".join(map(_keep_dots, text.split("/"))))
        options: dict[str, Any] = {}
        if self._route.method == "GET":
            options["params"] = {name: _query_text(value) for name, value in given.items() if value is not None}
        else:
            options["content"] = codec.encode(given)
            options["headers"] = {"content-type": "application/json"}
            if not self.verb.is_repeatable:
                options["headers"]["idempotency-key"] = new_id()
        response = self._connection.request(self._route.method, path, **options)
        return codec.decode(response.content, self.verb.returns)


def _keep_dots(part: str) -> str:
    """A part of a path that stays where it is: an HTTP client would take `..` for the way up."""
    return part.replace(".", "%2E") if part in (".", "..") else part


def _query_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
