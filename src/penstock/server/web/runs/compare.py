"""Several runs side by side: params, metrics, and the curves of the metrics that the address names."""

import math
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from msgspec import Struct
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import InvalidInputError
from penstock.core.ids import RunId
from penstock.server.web.context import PageContext
from penstock.server.web.runs.curves import SMOOTHINGS, Curve, Drawing, draw_curve, read_drawing
from penstock.server.web.words.statuses import status_tone
from penstock.stats.directions import find_direction
from penstock.tracking.types import ComparedMetric, Comparison, Run

MOST_RUNS_DRAWN = 10
FEW_CURVES = 4  # where nobody chose metrics
MOST_CURVES = 12


class MetricRow(Struct, frozen=True):
    """A metric of several runs; `best` says which of the values are, where that is known."""

    key: str
    differs: bool
    values: list[float | None]
    changes: list[float | None]  # against the first run
    best: frozenset[int]


def compare_runs(context: PageContext, request: Request) -> Response:
    """Several runs side by side: `?run=A&run=B`; `params=all` shows those that are alike as well."""
    asked = request.query_params
    ids = list(dict.fromkeys(RunId(run) for run in asked.getlist("run")))
    if not ids:
        return context.renderer.page(request, "compare.html", title="Compare runs", runs=())
    found = context.services.tracking.compare_runs(ids)
    drawing, refusal = _read_drawing(asked)
    keys = _offer(found)
    metrics = list(dict.fromkeys(key for key in asked.getlist("metric") if key in keys))[:MOST_CURVES]
    shows_all = asked.get("params") == "all" or len(ids) == 1
    params = sorted(found.params, key=lambda row: (not row.differs, row.key))
    return context.renderer.page(
        request,
        "compare.html",
        title="Compare runs",
        runs=found.runs,
        params=[row for row in params if row.differs or shows_all],
        alike=0 if shows_all else sum(not row.differs for row in params),
        all_params="/runs/compare?" + urlencode([*_other(asked, "params"), ("params", "all")]),
        metrics=[_compare(row) for row in sorted(found.metrics, key=lambda row: row.key)],
        keys=keys,
        chosen=metrics or keys[:FEW_CURVES],
        curves=_draw(context, found.runs[:MOST_RUNS_DRAWN], metrics or keys[:FEW_CURVES], drawing),
        drawn=min(len(found.runs), MOST_RUNS_DRAWN),
        drawing=drawing,
        smoothings=SMOOTHINGS,
        whole="/runs/compare?" + urlencode(_other(asked, "first", "last")),
        kept=_other(asked, "metric", "x", "scale", "smooth", "first", "last"),
        refusal=refusal,
        tone=status_tone,
    )


def _read_drawing(asked: Mapping[str, str]) -> tuple[Drawing, InvalidInputError | None]:
    try:
        return read_drawing(asked), None
    except InvalidInputError as error:
        return Drawing(), error


def _offer(found: Comparison) -> list[str]:
    """The metrics that can be drawn: those with steps first, then those that most runs have."""
    steps = {key: max(run.metrics[key].step for run in found.runs if key in run.metrics) for key in _keys(found.runs)}
    return sorted(steps, key=lambda key: (steps[key] == 0, key))


def _keys(runs: Sequence[Run]) -> set[str]:
    return {key for run in runs for key in run.metrics}


def _draw(context: PageContext, runs: Sequence[Run], keys: Sequence[str], drawing: Drawing) -> list[Curve]:
    db, histories = context.services.tracking.db, context.histories
    curves = [db.read(draw_curve, histories, [run for run in runs if key in run.metrics], key, drawing) for key in keys]
    return [curve for curve in curves if curve.points > 1]


def _other(asked: QueryParams, *names: str) -> list[tuple[str, str]]:
    """What an address says, but for these."""
    return [(name, value) for name, value in asked.multi_items() if name not in names]


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
