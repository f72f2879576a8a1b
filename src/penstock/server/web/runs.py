"""The pages of runs: a table, one run, several side by side."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.ids import RunId
from penstock.pipelines.types import StepRun
from penstock.server.web.charts import Point, Series, line_chart
from penstock.server.web.context import PageContext
from penstock.server.web.plot import HALF
from penstock.server.web.strips import Range, common_range, stretch_strip
from penstock.stats.directions import find_direction
from penstock.tracking.types import ComparedMetric, Metric, Run

PAGE_SIZE = 100
MOST_COLUMNS = 5
MOST_CURVES = 12
MOST_POINTS = 1_000
EPISODE_TAG = "penstock.episode"
TONES = {"finished": "good", "cached": "", "failed": "bad", "killed": "bad", "running": "accent"}


class Curve(Struct, frozen=True):
    """One metric of a run over its steps."""

    key: str
    last: float
    chart: Markup


class Timed(Struct, frozen=True):
    """A step of a run with its place in the time that the run took."""

    step: StepRun
    strip: Markup


class MetricRow(Struct, frozen=True):
    """A metric of several runs; `best` says which of the values are, where that is known."""

    key: str
    differs: bool
    values: list[float | None]
    changes: list[float | None]  # against the first run
    best: frozenset[int]


def list_runs(context: PageContext, request: Request) -> Response:
    """The newest runs with their metrics."""
    experiment = request.query_params.get("experiment", "")
    after = RunId(request.query_params["after"]) if "after" in request.query_params else None
    runs = context.services.tracking.list_runs(experiment, limit=PAGE_SIZE, after=after)
    return context.renderer.page(
        request,
        "runs.html",
        title="Runs",
        runs=runs,
        columns=_common_metrics(runs),
        experiments=context.services.experiments.list_experiments(),
        experiment=experiment,
        last=runs[-1].id if len(runs) == PAGE_SIZE else "",
        tone=status_tone,
    )


def show_run(context: PageContext, request: Request) -> Response:
    """One run: what it was started with, what it measured, what it left behind."""
    services = context.services
    run = services.tracking.get_run(RunId(request.path_params["run"]))
    return context.renderer.page(
        request,
        "run.html",
        title=run.name,
        run=run,
        artifacts=services.artifacts.list_artifacts(run.id),
        curves=[curve for key in sorted(run.metrics)[:MOST_CURVES] if (curve := _curve(context, run, key))],
        has_steps=any(metric.step for metric in run.metrics.values()),
        steps=_time_steps(services.pipelines.list_steps(run.id)),
        versions=services.registry.list_versions_of_run(run.id),
        episode=run.tags.get(EPISODE_TAG, ""),
        tone=status_tone,
    )


def compare_runs(context: PageContext, request: Request) -> Response:
    """Several runs side by side: `?run=A&run=B`."""
    ids = [RunId(run) for run in request.query_params.getlist("run")]
    found = context.services.tracking.compare_runs(ids) if ids else None
    return context.renderer.page(
        request,
        "compare.html",
        title="Compare runs",
        runs=found.runs if found else (),
        params=sorted(found.params, key=lambda row: (not row.differs, row.key)) if found else [],
        metrics=[_compare(row) for row in sorted(found.metrics, key=lambda row: row.key)] if found else [],
        tone=status_tone,
    )


def status_tone(status: str) -> str:
    """The colour of a run's or a step's status."""
    return TONES.get(status, "")


def _common_metrics(runs: Sequence[Run]) -> list[str]:
    """The metrics that most of these runs have."""
    counts: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    return sorted(sorted(counts), key=lambda key: -counts[key])[:MOST_COLUMNS]


def _curve(context: PageContext, run: Run, key: str) -> Curve | None:
    points = context.services.tracking.metric_history(run.id, key, limit=MOST_POINTS).points
    drawn = [(point, point.number) for point in points if math.isfinite(point.number)]
    if len(drawn) < 2:
        return None
    has_steps = len({point.step for point, _ in drawn}) > 1
    line = [Point(_place(point, has_steps=has_steps), number) for point, number in drawn]
    return Curve(key, points[-1].number, line_chart([Series(key, line)], title=f"{key} of run {run.name}", area=HALF))


def _place(point: Metric, *, has_steps: bool) -> float:
    return point.step if has_steps or point.at is None else point.at.timestamp()


def _time_steps(steps: Sequence[StepRun]) -> list[Timed]:
    moments = [at.timestamp() for step in steps for at in (step.started_at, step.ended_at) if at is not None]
    ends = common_range(moments) if moments else Range(0.0, 1.0)
    return [Timed(step, _stretch(step, ends, max(moments))) for step in steps]


def _stretch(step: StepRun, ends: Range, now: float) -> Markup:
    end = step.ended_at.timestamp() if step.ended_at else now
    return stretch_strip(ends, step.started_at.timestamp(), end, step.status.value)


def _compare(row: ComparedMetric) -> MetricRow:
    values = [None if value is None else float(value) for value in row.values]
    first = values[0]
    changes = [None if value is None or first is None else value - first for value in values]
    return MetricRow(row.key, row.differs, values, changes, _find_best(row.key, dict(enumerate(values))))


def _find_best(key: str, values: Mapping[int, float | None]) -> frozenset[int]:
    known = {place: value for place, value in values.items() if value is not None and math.isfinite(value)}
    sign = find_direction(key)
    if sign is None:
        return frozenset()
    best = max((sign * value for value in known.values()), default=0.0)
    return frozenset(place for place, value in known.items() if sign * value == best and len(set(known.values())) > 1)
