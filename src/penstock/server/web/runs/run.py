"""The page of one run."""

from collections.abc import Sequence
from urllib.parse import quote

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.ids import RunId
from penstock.pipelines.types import StepRun
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.plot import HALF
from penstock.server.web.drawings.strips import Range, common_range, stretch_strip
from penstock.server.web.runs.artifacts import read_folder, to_lines
from penstock.server.web.runs.curves import Curve, Drawing, draw_curve
from penstock.server.web.words.statuses import status_tone
from penstock.tracking.types import Run

MOST_CURVES = 12
CHILDREN_SHOWN = 100
EPISODE_TAG = "penstock.episode"
NOTE_TAG = "mlflow.note.content"  # where clients keep a run's description


class Timed(Struct, frozen=True):
    """A step of a run with its place in the time that the run took."""

    step: StepRun
    strip: Markup


def show_run(context: PageContext, request: Request) -> Response:
    """One run: what it was started with, what it measured, what it left behind."""
    services = context.services
    run = services.tracking.get_run(RunId(request.path_params["run"]))
    keys = sorted((key for key in run.metrics), key=lambda key: (run.metrics[key].step == 0, key))[:MOST_CURVES]
    folder = read_folder(context, run.id)
    return context.renderer.page(
        request,
        "run.html",
        title=run.name,
        run=run,
        note=run.tags.get(NOTE_TAG, ""),
        lines=to_lines(run.id, "", folder),
        more=f"/runs/{quote(run.id, safe='')}/artifacts/" if folder.next else "",
        curves=_draw(context, run, keys, Drawing()),
        has_steps=any(metric.step for metric in run.metrics.values()),
        steps=_time_steps(services.pipelines.list_steps(run.id)),
        versions=services.registry.list_versions_of_run(run.id),
        inputs=services.inputs.get_inputs(run.id),
        outputs=services.inputs.list_outputs(run.id),
        children=services.tracking.list_runs(parent=run.id, limit=CHILDREN_SHOWN),
        episode=run.tags.get(EPISODE_TAG, ""),
        tone=status_tone,
    )


def _draw(context: PageContext, run: Run, keys: Sequence[str], drawing: Drawing) -> list[Curve]:
    db, histories = context.services.tracking.db, context.histories
    curves = [db.read(draw_curve, histories, [run], key, drawing, HALF) for key in keys]
    return [curve for curve in curves if curve.points > 1]


def _time_steps(steps: Sequence[StepRun]) -> list[Timed]:
    moments = [at.timestamp() for step in steps for at in (step.started_at, step.ended_at) if at is not None]
    ends = common_range(moments) if moments else Range(0.0, 1.0)
    return [Timed(step, _stretch(step, ends, max(moments))) for step in steps]


def _stretch(step: StepRun, ends: Range, now: float) -> Markup:
    end = step.ended_at.timestamp() if step.ended_at else now
    return stretch_strip(ends, step.started_at.timestamp(), end, step.status.value)
