"""Puts the HTTP application together: guard, API, blobs, live events, pages."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from penstock.catalogue.services import ROUTES, Services
from penstock.core import codec
from penstock.core.codec import nearest_hint
from penstock.core.config import Config
from penstock.core.errors import NotFoundError, PenstockError, PermissionDeniedError
from penstock.core.health import CONTENT_TYPE
from penstock.core.identity import Actor, Role
from penstock.core.project.types import Project
from penstock.governance.tokens.book import TokenBook
from penstock.server.blobs import blob_routes
from penstock.server.dispatch import API, http_routes
from penstock.server.guard import (
    HostGuard,
    WriteLimit,
    answer_error,
    answer_http_error,
    describe_failure,
    error_response,
)
from penstock.server.identity import Authenticator, Identifier
from penstock.server.live import live_route
from penstock.server.metrics import ServerMetrics
from penstock.server.openapi import openapi_document
from penstock.server.protocols.mlflow.app import MlflowApp, open_paths
from penstock.server.protocols.mlflow.table import ENDPOINTS
from penstock.server.readiness import ServerReadiness
from penstock.server.web.context import error_page, wants_page
from penstock.server.web.pages import PAGES, page_routes
from penstock.server.web.render import FOLDER, Renderer, installed_version
from penstock.server.web.sign_in import SIGN_IN, refuse_stranger, sign_in_routes
from penstock.server.web.sources.asking import GatewayClient


def build_server(
    services: Services, *, config: Config, owner: Actor, project: Project | None, owner_token: str = ""
) -> ASGIApp:
    """The ASGI application of a server.

    Args:
        services: what it publishes.
        config: host names it answers to, and the token it asks for.
        owner: who a request without a token comes from.
        project: whose pages are shown; None for a server without a project.
        owner_token: what this machine's own processes show where tokens are asked for.
    """
    book = TokenBook(services.tokens)
    identify = Identifier(config, owner, book, owner_token)
    by_name = {name: getattr(services, name) for name in ROUTES}
    renderer = Renderer(project.name if project else "server")
    routes: list[Any] = [
        Route("/health", _health, methods=["GET"]),
        Route("/ready", _ready_when(ServerReadiness(services.tokens.db, config.home)), methods=["GET"]),
        Route("/metrics", _serve_metrics(services, config, project, identify), methods=["GET"]),
        Route(f"{API}/openapi.json", _serve_openapi(), methods=["GET"]),
        *http_routes(ROUTES, by_name, identify),
        *blob_routes(services.objects.blobs, identify),
        live_route(lambda: str(services.governance.head())),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
        *sign_in_routes(services.tokens, renderer, identify, book),
        *page_routes(services, renderer, identify, project, GatewayClient(config)),
        Route("/{path:path}", _not_found_with(renderer), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    handlers: dict[Any, Any] = {
        PenstockError: answer_error,
        HTTPException: answer_http_error,
        Exception: _fail_with(renderer),
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    operations = MlflowApp(app, services, describe_failure)
    known = Authenticator(operations, identify, book, _OPEN, refuse_stranger)
    return HostGuard(WriteLimit(known, services.tokens.db.waiting_writes), config)


# What a load balancer, a client that looks for a server, and a browser before its sign-in may see.
_OPEN = {"/health", "/ready", SIGN_IN, *open_paths(ENDPOINTS)}


async def _health(request: Request) -> Response:
    return PlainTextResponse("OK")


def _ready_when(readiness: ServerReadiness) -> Callable[[Request], Response]:
    def ready(request: Request) -> Response:
        found = readiness.look()
        return Response(found.encode(), status_code=found.status, media_type="application/json")

    return ready


def _serve_metrics(
    services: Services, config: Config, project: Project | None, identify: Identifier
) -> Callable[[Request], Response]:
    metrics = ServerMetrics(services, config.home, project, installed_version())

    def serve(request: Request) -> Response:
        actor = identify(request)
        if actor.role < Role.READER:
            raise PermissionDeniedError("GET /metrics needs the role reader")
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE})

    return serve


def _serve_openapi() -> Callable[[Request], Response]:
    @functools.cache
    def make() -> bytes:  # takes a while, and few ask
        return codec.encode(openapi_document(ROUTES, installed_version()))

    return lambda request: Response(make(), media_type="application/json")


def _not_found_with(renderer: Renderer) -> Callable[[Request], Response]:
    def not_found(request: Request) -> Response:
        path = request.url.path
        if wants_page(request):
            error = NotFoundError(
                f"there is no page {path}", hint=nearest_hint(path, [page for page in PAGES if "{" not in page])
            )
            return error_page(renderer, request, error)
        return error_response(NotFoundError(f"nothing is at {path}"))

    return not_found


def _fail_with(renderer: Renderer) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def fail(request: Request, error: Exception) -> Response:
        told = describe_failure(request, error)
        return error_page(renderer, request, told) if wants_page(request) else error_response(told)

    return fail
