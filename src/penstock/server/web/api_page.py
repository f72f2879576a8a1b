"""The page of the HTTP API: every operation in a line, made from the same table as the routes."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.catalogue.services import ROUTES
from penstock.core.routes import Route
from penstock.server.dispatch import API
from penstock.server.web.context import PageContext


class Operation(Struct, frozen=True):
    """One operation as it is shown."""

    method: str
    path: str
    summary: str
    role: str


def show_api(context: PageContext, request: Request) -> Response:
    """Every operation, by noun."""
    nouns = {noun: [_describe(route) for route in routes] for noun, routes in ROUTES.items()}
    return context.renderer.page(request, "api.html", title="HTTP API", nouns=nouns, address=f"{API}/openapi.json")


def _describe(route: Route) -> Operation:
    summary = route.verb.doc.partition("\n")[0]
    return Operation(route.method, API + route.path.replace(":path}", "}"), summary, route.needs.name.lower())
