"""The page of experiments, and the addresses by which MLflow's clients know experiments and runs."""

from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from penstock.core.errors import NotFoundError
from penstock.core.ids import ExperimentId, RunId
from penstock.server.web.context import PageContext
from penstock.tracking.types import View

PAGE_SIZE = 200
LONGEST_NUMBER = 18  # digits


def list_experiments(context: PageContext, request: Request) -> Response:
    """Experiments, the newest first; deleted ones where they are asked for."""
    asked = request.query_params
    view = View.DELETED if asked.get("view") == "deleted" else View.ACTIVE
    found = context.services.experiments.search_experiments(
        view=view, limit=PAGE_SIZE, page_token=asked.get("after", "")
    )
    return context.renderer.page(
        request,
        "experiments.html",
        title="Experiments",
        experiments=found.experiments,
        counts=context.services.experiments.count_runs(),
        view=view.value,
        more=_more(view, found.next) if found.next else "",
    )


def open_experiment(context: PageContext, request: Request) -> Response:
    """The runs of an experiment, by its number."""
    text = str(request.path_params["experiment"])
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise NotFoundError(f"{text[:20]!r} is no experiment", hint="experiments are numbered 0, 1, 2")
    found = context.services.experiments.get_experiment_by_id(ExperimentId(int(text)))
    asked = {"experiment": found.name} | ({"view": "deleted"} if found.deleted_at else {})
    return RedirectResponse(f"/runs?{urlencode(asked)}", status_code=303)


def open_run(context: PageContext, request: Request) -> Response:
    """A run, by its experiment's number and its id; the id alone says which."""
    run_id = RunId(request.path_params["run"])
    context.services.tracking.check_run(run_id)
    return RedirectResponse(f"/runs/{quote(run_id, safe='')}", status_code=303)


def _more(view: View, token: str) -> str:
    return "/experiments?" + urlencode({"view": view.value, "after": token})
