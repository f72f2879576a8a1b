"""Turns templates into pages: one Jinja environment with the filters every page uses."""

from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from penstock.core import codec
from penstock.core.clock import format_duration

FOLDER = Path(__file__).parent
NAVIGATION = [
    ("/", "Loop"),
    ("/runs", "Runs"),
    ("/models", "Models"),
    ("/data", "Data"),
    ("/deployments", "Deployments"),
    ("/episodes", "Episodes"),
    ("/audit", "Audit"),
]


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
        self._environment.filters |= {
            "number": format_number,
            "moment": format_moment,
            "duration": format_length,
            "short": lambda text: str(text)[:10],
            "json": lambda value: codec.encode_text(value),
        }
        self._environment.globals |= {
            "navigation": NAVIGATION,
            "project_name": project_name,
            "version": installed_version(),
        }

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page; `title` is one of the values it needs."""
        section = "/" + request.url.path.split("/")[1]
        return HTMLResponse(self._environment.get_template(template).render(section=section, **values), status)


def installed_version() -> str:
    """The version of this penstock."""
    try:
        return version("penstock")
    except PackageNotFoundError:
        return "development"


def format_number(value: float | None) -> str:
    """Four significant digits, thousands parted by commas; a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"


def format_moment(value: datetime | None) -> str:
    """To the minute, UTC; a dash for nothing."""
    return "–" if value is None else value.strftime("%d %b %Y, %H:%M")


def format_length(value: timedelta | None) -> str:
    """A length of time as people say it; a dash for nothing."""
    return "–" if value is None else format_duration(value)
