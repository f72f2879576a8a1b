"""The artifact browser of a run: a folder, a file with its preview, and an HTML file for the frame that shows it."""

from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import NotFoundError
from penstock.core.ids import RunId
from penstock.server.web.context import PageContext
from penstock.server.web.runs.previews import PAGE_BYTES, make_preview
from penstock.tracking.artifacts.homes import run_home
from penstock.tracking.artifacts.types import FolderEntry, FolderPage

ENTRIES_SHOWN = 500
# Nothing of the file runs, loads or sends: it is a foreign document in an origin of its own, with its inline styles.
FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)


class Line(Struct, frozen=True):
    """An entry of a folder with the address of its page."""

    entry: FolderEntry
    link: str


def show_artifact(context: PageContext, request: Request) -> Response:
    """A folder of a run, or a file of it with what can be shown of it."""
    services = context.services
    run = services.tracking.get_run(RunId(request.path_params["run"]))
    path = str(request.path_params["path"]).strip("/")
    folder = read_folder(context, run.id, path, request.query_params.get("after", ""))
    values: dict[str, Any] = {
        "title": f"{path or 'artifacts'} of {run.name}",
        "run": run,
        "crumbs": _crumbs(run.id, path),
        "name": path.rpartition("/")[2] or "artifacts",
    }
    if folder.entries or not path:
        lines = to_lines(run.id, path, folder)
        more = f"{_link(run.id, path)}?{urlencode({'after': folder.next})}" if folder.next else ""
        return context.renderer.page(request, "artifacts.html", lines=lines, more=more, **values)
    file = services.artifacts.get_artifact(run.id, path)
    return context.renderer.page(
        request,
        "artifact.html",
        file=file,
        preview=make_preview(services.objects, path, file.digest, file.size_bytes),
        download=download_link(run.id, path),
        frame=f"/runs/{quote(run.id, safe='')}/frame/{quote(path)}",
        **values,
    )


def show_frame(context: PageContext, request: Request) -> Response:
    """An HTML file for the frame on its page; opened by itself, nothing in it runs either."""
    path = str(request.path_params["path"])
    file = context.services.artifacts.get_artifact(RunId(request.path_params["run"]), path)
    if not path.lower().endswith((".html", ".htm")) or file.size_bytes > PAGE_BYTES:
        raise NotFoundError(f"{path!r} is not shown in a frame", hint="download it instead")
    headers = {
        "content-security-policy": FRAME_POLICY,
        "x-frame-options": "SAMEORIGIN",
        "cache-control": "private, no-cache",
    }
    body = context.services.objects.get_bytes(file.digest)
    return Response(bytes(body), media_type="text/html; charset=utf-8", headers=headers)


def read_folder(context: PageContext, run: RunId, path: str = "", after: str = "") -> FolderPage:
    """A folder of a run, one level deep; one that is not there is empty."""
    return context.services.artifacts.list_folder(run_home(run), path, ENTRIES_SHOWN, after)


def to_lines(run: RunId, path: str, folder: FolderPage) -> list[Line]:
    """The entries with their links."""
    start = f"{path}/" if path else ""
    return [Line(entry, _link(run, start + entry.name)) for entry in folder.entries]


def download_link(run: RunId, path: str) -> str:
    """Where a file of a run is downloaded from."""
    return "/get-artifact?" + urlencode({"run_id": run, "path": path})


def _link(run: RunId, path: str) -> str:
    return f"/runs/{quote(run, safe='')}/artifacts/{quote(path)}"


def _crumbs(run: RunId, path: str) -> list[tuple[str, str]]:
    """The folders above, with their links."""
    parts = path.split("/")[:-1]
    above = [("artifacts", _link(run, ""))] if path else []
    return [*above, *((name, _link(run, "/".join(parts[: number + 1]))) for number, name in enumerate(parts))]
