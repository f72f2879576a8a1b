"""Puts the HTTP application together: guard, API, blobs, live events, pages."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from penstock.catalogue.services import ROUTES, Services
from penstock.core import codec
from penstock.core.config import Config
from penstock.core.errors import NotFoundError, PenstockError
from penstock.core.identity import Actor
from penstock.core.project.types import Project
from penstock.server.blobs import blob_routes
from penstock.server.dispatch import API, http_routes
from penstock.server.guard import HostGuard, Identifier, answer_error, answer_failure, error_response
from penstock.server.live import live_route
from penstock.server.openapi import openapi_document
from penstock.server.web.pages import page_routes
from penstock.server.web.render import FOLDER, Renderer, installed_version


def build_server(services: Services, *, config: Config, owner: Actor, project: Project | None) -> ASGIApp:
    """The ASGI application of a server.

    Args:
        services: what it publishes.
        config: host names it answers to, and the token it asks for.
        owner: who a request without a token comes from.
        project: whose pages are shown; None for a server without a project.
    """
    identify = Identifier(config, owner)
    by_name = {name: getattr(services, name) for name in ROUTES}
    renderer = Renderer(project.name if project else "server")
    routes: list[Any] = [
        Route("/health", _health, methods=["GET"]),
        Route("/ready", _ready_when(services), methods=["GET"]),
        Route(f"{API}/openapi.json", _serve_openapi(), methods=["GET"]),
        *http_routes(ROUTES, by_name, identify),
        *blob_routes(services.objects.blobs, identify),
        live_route(lambda: str(services.governance.head())),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
        *page_routes(services, renderer, identify, project),
        Route("/{path:path}", _not_found, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    app = Starlette(routes=routes, exception_handlers={PenstockError: answer_error, Exception: answer_failure})
    return HostGuard(app, config)


async def _health(request: Request) -> Response:
    return PlainTextResponse("OK")


def _ready_when(services: Services) -> Callable[[Request], Response]:
    def ready(request: Request) -> Response:
        services.governance.head()  # raises while the database cannot be read
        return PlainTextResponse("OK")

    return ready


def _serve_openapi() -> Callable[[Request], Response]:
    document = codec.encode(openapi_document(ROUTES, installed_version()))
    return lambda request: Response(document, media_type="application/json")


async def _not_found(request: Request) -> Response:
    return error_response(NotFoundError(f"nothing is at {request.url.path}"))
