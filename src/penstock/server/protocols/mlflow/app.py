"""Finds the operation of a request, decodes it, runs it, and answers in the protocol's form."""

import logging
import re
from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.catalogue.services import Services
from penstock.core.errors import PenstockError, PermissionDeniedError
from penstock.core.identity import Actor, Role
from penstock.server.protocols.mlflow.endpoint import Call, Endpoint
from penstock.server.protocols.mlflow.errors import EndpointNotFoundError, answer_error
from penstock.server.protocols.mlflow.requests import decode
from penstock.server.protocols.mlflow.table import ENDPOINTS

log = logging.getLogger(__name__)
_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
_OURS = re.compile(r"/(?:ajax-)?api/[23]\.0(?:/.*)?")
NOBODY = Actor("nobody", Role.NOBODY)
_EMPTY = Response(b"{}", media_type="application/json")


class MlflowApp:
    """Answers MLflow's protocol; what is not part of it goes on to the application behind.

    Args:
        app: the application behind it.
        services: what the operations work on.
        identify: who makes a request.
        describe: an unexpected failure in words that give nothing away.
    """

    def __init__(
        self,
        app: ASGIApp,
        services: Services,
        identify: Callable[[Request], Actor],
        describe: Callable[[Request, Exception], PenstockError],
    ) -> None:
        self._app = app
        self._services = services
        self._identify = identify
        self._describe = describe
        self._exact, self._patterns = _index(ENDPOINTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        endpoint, path = self._find(scope["method"], scope["path"])
        if endpoint is None and not _OURS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await self._answer(request, endpoint, path)
        except PenstockError as error:
            answer = answer_error(error if error.http_status != 500 else self._describe(request, error))
        except ClientDisconnect:
            return
        except Exception as error:  # the outermost loop of a request
            answer = answer_error(self._describe(request, error))
        await answer(scope, receive, send)

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

    async def _answer(self, request: Request, endpoint: Endpoint | None, path: dict[str, str]) -> Response:
        is_open = endpoint is not None and endpoint.needs is Role.NOBODY
        actor = NOBODY if is_open else self._identify(request)
        if endpoint is None:
            raise EndpointNotFoundError(f"there is no operation {request.method} {request.url.path}")
        if actor.role < endpoint.needs:
            raise PermissionDeniedError(
                f"{request.method} {request.url.path} needs the role {endpoint.needs.name.lower()}",
                hint=f"{actor.name} has the role {actor.role.name.lower()}",
            )
        given = None if endpoint.request is None else await decode(request, endpoint.request, path)
        answer = await endpoint.handle(Call(self._services, actor, request, path), given)
        if answer is None:
            return _EMPTY
        if isinstance(answer, Response):
            return answer
        return Response(msgspec.json.encode(answer), media_type="application/json")


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
