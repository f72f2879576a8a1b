"""Turns templates into pages: one Jinja environment with the filters every page uses."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from penstock.core import codec
from penstock.monitoring.causes.types import VERDICTS
from penstock.server.identity import COOKIE
from penstock.server.web.drawings.gates import draw_gate
from penstock.server.web.words import formats
from penstock.server.web.words.refs import lineage_page, link_ref
from penstock.server.web.words.windows import window_page

FOLDER = Path(__file__).parent
NAVIGATION = [
    ("/", "Loop"),
    ("/episodes", "Episodes"),
    ("/incidents", "Incidents"),
    ("/deployments", "Deployments"),
    ("/models", "Models"),
    ("/runs", "Runs"),
    ("/data", "Data"),
    ("/audit", "Audit"),
]
FILTERS = {
    "number": formats.format_number,
    "measure": formats.format_measure,
    "change": formats.format_change,
    "p_value": formats.format_p_value,
    "share": formats.format_share,
    "size": formats.format_bytes,
    "ms": formats.format_milliseconds,
    "moment": formats.format_moment,
    "date": formats.format_date,
    "duration": formats.format_length,
    "cell": formats.format_cell,
    "short": formats.shorten,
    "ref": link_ref,
    "lineage": lineage_page,
    "window_page": lambda window: window_page(window.deployment, window.start),
    "window_at": window_page,
    "gate_strip": draw_gate,
    "verdict": VERDICTS.__getitem__,
    "json": codec.encode_text,
}


class Renderer:
    """Renders the templates of this folder.

    Args:
        project_name: shown in the header of every page.
    """

    def __init__(self, project_name: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= FILTERS
        self._environment.globals |= {
            "navigation": NAVIGATION,
            "project_name": project_name,
            "penstock_version": installed_version(),
            "interval": formats.format_interval,
        }

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page; `title` is one of the values it needs."""
        section = "/" + request.url.path.split("/")[1]
        shown = {
            "section": section,
            "shows": getattr(request.state, "version", ""),
            "is_live": True,
            "signed_in": COOKIE in request.cookies,
            **values,
        }
        return HTMLResponse(self._environment.get_template(template).render(shown), status)


def installed_version() -> str:
    """The version of this penstock."""
    try:
        return version("penstock")
    except PackageNotFoundError:
        return "development"
