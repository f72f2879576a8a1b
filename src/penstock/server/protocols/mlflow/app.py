"""Finds the operation of a request, decodes it, runs it, and answers in the protocol's form."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.catalogue.services import Services
from penstock.core.errors import PenstockError, PermissionDeniedError
from penstock.core.identity import Actor, Role
from penstock.server.identity import ACTOR
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import EndpointNotFoundError, answer_error
from penstock.server.protocols.mlflow.requests import decode
from penstock.server.protocols.mlflow.table import ENDPOINTS

log = logging.getLogger(__name__)
_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
_OURS = re.compile(r"/(?:ajax-)?api/[23]\.0(?:/.*)?")
NOBODY = Actor("nobody", Role.NOBODY)
_JSON = (b"content-type", b"application/json")


class MlflowApp:
    """Answers MLflow's protocol behind an `Authenticator`; what is not part of it goes on to the application behind.

    Args:
        app: the application behind it.
        services: what the operations work on.
        describe: an unexpected failure in words that give nothing away.
    """

    def __init__(
        self,
        app: ASGIApp,
        services: Services,
        describe: Callable[[Request, Exception], PenstockError],
    ) -> None:
        self._app = app
        self._services = services
        self._describe = describe
        self._exact, self._patterns = _index(ENDPOINTS)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        endpoint, path = self._find(scope["method"], scope["path"])
        if endpoint is None and not _OURS.fullmatch(scope["path"]):
            return self._app(scope, receive, send)
        return self._serve(endpoint, path, scope, receive, send)

    async def _serve(
        self, endpoint: Endpoint | None, path: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        answer: Struct | Response | None
        try:
            call = self._begin(endpoint, path, scope, receive)
            assert endpoint is not None  # a call has one
            given = None if endpoint.request is None else await decode(call, endpoint.request)
            answer = await endpoint.handle(call, given)
        except ClientDisconnect:
            return
        except Exception as error:  # the outermost loop of a request
            told = error if isinstance(error, PenstockError) else None
            if told is None or told.http_status == 500:
                told = self._describe(Request(scope), error)
            answer = answer_error(told)
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        body = b"{}" if answer is None else msgspec.json.encode(answer)
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _begin(self, endpoint: Endpoint | None, path: dict[str, str], scope: Scope, receive: Receive) -> Call:
        """Let the caller do what it asks for."""
        if endpoint is None:
            raise EndpointNotFoundError(f"there is no operation {scope['method']} {scope['path']}")
        actor: Actor = NOBODY if endpoint.needs is Role.NOBODY else scope[ACTOR]
        if actor.role < endpoint.needs:
            raise PermissionDeniedError(
                f"{scope['method']} {scope['path']} needs the role {endpoint.needs.name.lower()}",
                hint=f"{actor.name} has the role {actor.role.name.lower()}",
            )
        return Call(self._services, actor, scope, receive, path)

    def _find(self, method: str, path: str) -> tuple[Endpoint | None, dict[str, str]]:
        endpoint = self._exact.get((method, path))
        if endpoint is not None:
            return endpoint, {}
        for pattern, held in self._patterns:
            if held.method == method and (found := pattern.fullmatch(path)):
                return held, found.groupdict()
        if path.startswith("//"):  # an address that ended with a slash
            return self._find(method, f"/{path.lstrip('/')}")
        return None, {}


def _index(
    endpoints: Sequence[Endpoint],
) -> tuple[dict[tuple[str, str], Endpoint], list[tuple[re.Pattern[str], Endpoint]]]:
    exact: dict[tuple[str, str], Endpoint] = {}
    patterns: list[tuple[re.Pattern[str], Endpoint]] = []
    for endpoint in endpoints:
        for path in full_paths(endpoint):
            if "{" in path:
                patterns.append((_to_pattern(path), endpoint))
            else:
                exact[endpoint.method, path] = endpoint
    return exact, patterns


def open_paths(endpoints: Sequence[Endpoint]) -> set[str]:
    """The paths of the operations that ask nobody who they are."""
    return {path for endpoint in endpoints if endpoint.needs is Role.NOBODY for path in full_paths(endpoint)}


def full_paths(endpoint: Endpoint) -> list[str]:
    """Every path that an operation answers under."""
    if endpoint.path.startswith("/"):
        return [endpoint.path]
    return [
        f"/{prefix}/{version}/mlflow/{endpoint.path}" for prefix in ("api", "ajax-api") for version in endpoint.versions
    ]


def _to_pattern(path: str) -> re.Pattern[str]:
    pieces, end = [], 0
    for found in _PARAMETER.finditer(path):
        pieces.append(re.escape(path[end : found.start()]))
        pieces.append(f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})")
        end = found.end()
    return re.compile("".join(pieces) + re.escape(path[end:]), re.DOTALL)
