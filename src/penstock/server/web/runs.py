"""The pages of runs: a table, one run, several side by side."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.core.ids import RunId
from penstock.server.web.charts import Point, Series, line_chart
from penstock.server.web.context import PageContext
from penstock.tracking.types import Metric, Run

PAGE_SIZE = 100
MOST_CURVES = 12
MOST_POINTS = 1_000


def list_runs(context: PageContext, request: Request) -> Response:
    """The newest runs with their metrics."""
    experiment = request.query_params.get("experiment", "")
    runs = context.services.tracking.list_runs(experiment, limit=PAGE_SIZE)
    experiments = context.services.tracking.list_experiments()
    columns = sorted({key for run in runs for key in run.metrics})[:6]
    return context.renderer.page(
        request,
        "runs.html",
        title="Runs",
        runs=runs,
        columns=columns,
        experiments=experiments,
        experiment=experiment,
        tone=status_tone,
    )


def show_run(context: PageContext, request: Request) -> Response:
    """One run: what it was started with, what it measured, what it left behind."""
    services = context.services
    run = services.tracking.get_run(RunId(request.path_params["run"]))
    artifacts = services.tracking.list_artifacts(run.id)
    curves = [curve for key in sorted(run.metrics)[:MOST_CURVES] if (curve := _curve(context, run, key))]
    steps = services.pipelines.list_steps(run.id)
    return context.renderer.page(
        request,
        "run.html",
        title=run.name or f"Run {run.id[-6:]}",
        run=run,
        artifacts=artifacts,
        curves=curves,
        steps=steps,
        tone=status_tone,
    )


def compare_runs(context: PageContext, request: Request) -> Response:
    """Several runs side by side: `?run=A&run=B`."""
    ids = [RunId(run) for run in request.query_params.getlist("run")]
    comparison = context.services.tracking.compare_runs(ids) if ids else None
    return context.renderer.page(request, "compare.html", title="Compare runs", comparison=comparison)


def status_tone(status: str) -> str:
    """The colour of a run's or a step's status."""
    return {"finished": "good", "cached": "good", "failed": "bad", "killed": "bad", "running": "accent"}.get(status, "")


def _curve(context: PageContext, run: Run, key: str) -> object | None:
    points = context.services.tracking.metric_history(run.id, key, limit=MOST_POINTS).points
    drawn = [Point(p.at, p.number) for p in points if p.at is not None and p.number == p.number]
    if len(drawn) < 2:
        return None
    return key, line_chart([Series(key, drawn)], title=f"{key} of run {run.id}"), _last(points)


def _last(points: tuple[Metric, ...]) -> float:
    return points[-1].number
