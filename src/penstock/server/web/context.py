"""What every page is made from, and the wrapper that turns a page function into a route."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.catalogue.services import Services
from penstock.core.errors import NotFoundError, PenstockError, PermissionDeniedError
from penstock.core.identity import Role
from penstock.core.project.types import Project
from penstock.server.bodies import read_body
from penstock.server.dispatch import Identify
from penstock.server.web.render import Renderer
from penstock.server.web.sources.asking import GatewayClient
from penstock.server.web.sources.history_cache import HistoryCache
from penstock.server.web.sources.last_hour import RecentTraffic
from penstock.server.web.sources.remembered import Remembered
from penstock.server.web.sources.window_cache import WindowCache

LONGEST_NUMBER = 9  # digits
FORM_BYTES = 1024 * 1024


@dataclass(frozen=True)
class PageContext:
    """The services a page reads, how it renders, whom it asks for predictions, and the project it is about.

    A server without a project has none.
    """

    services: Services
    renderer: Renderer
    identify: Identify
    project: Project | None
    gateway: GatewayClient
    histories: HistoryCache = field(default_factory=HistoryCache)
    recent: RecentTraffic = field(default_factory=RecentTraffic)
    windows: WindowCache = field(default_factory=WindowCache)
    distributions: Remembered[Any] = field(default_factory=lambda: Remembered(40))  # of windows


PageFunction = Callable[[PageContext, Request], Response]
FormFunction = Callable[[PageContext, Request, Mapping[str, str]], Response]


class Form(Struct, frozen=True):
    """What a page's form does, and the role it takes; `request.state.actor` is who sent it."""

    function: FormFunction
    needs: Role


def page(context: PageContext, path: str, function: PageFunction) -> Route:
    """A route that shows a page; an error becomes a page of its own that says what to do."""

    async def show(request: Request) -> Response:
        try:
            actor = context.identify(request)
            if actor.role < Role.READER:
                raise PermissionDeniedError("pages need the role reader", hint=f"{actor.name} has none")
            return await run_in_threadpool(_render, context, function, request)
        except PenstockError as error:
            return error_page(context.renderer, request, error)

    return Route(path, show, methods=["GET"])


def form(context: PageContext, path: str, held: Form) -> Route:
    """A route that takes a form and answers with a page."""

    async def take(request: Request) -> Response:
        try:
            actor = context.identify(request)
            if actor.role < held.needs:
                told = f"{actor.name} has the role {actor.role.name.lower()}"
                raise PermissionDeniedError(f"this form needs the role {held.needs.name.lower()}", hint=told)
            request.state.actor = actor
            body = await read_body(request.receive, FORM_BYTES)
            given = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
            return await run_in_threadpool(
                _render, context, lambda own, asked: held.function(own, asked, given), request
            )
        except PenstockError as error:
            return error_page(context.renderer, request, error)

    return Route(path, take, methods=["POST"])


def _render(context: PageContext, function: PageFunction, request: Request) -> Response:
    request.state.version = context.services.governance.head()  # read first: what changes later, the page may not show
    return function(context, request)


def read_version(request: Request) -> int:
    """The number of a version in a page's address.

    Raises:
        NotFoundError: it is no number, or one that no version will ever have.
    """
    text = str(request.path_params["version"])
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise NotFoundError(f"{text[:20]!r} is no version", hint="versions are numbered 1, 2, 3")
    return int(text)


def error_page(renderer: Renderer, request: Request, error: PenstockError) -> Response:
    """What went wrong, and what to do."""
    title = "Not found" if error.http_status == 404 else "Not to be shown"
    return renderer.page(request, "error.html", status=error.http_status, title=title, error=error)


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, and not a program."""
    is_page = request.method in ("GET", "HEAD") and not request.url.path.startswith("/api/")
    return is_page and "text/html" in request.headers.get("accept", "")
