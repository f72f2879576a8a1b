"""The pages of models: all versions, and one with its verdict, metrics, slices and lineage."""

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core import codec
from penstock.evaluation.types import MetricValue, Report, SliceResult
from penstock.registry.types import ModelVersion
from penstock.server.web.context import PageContext, read_version
from penstock.server.web.graph_svg import draw_lineage
from penstock.server.web.strips import common_range, interval_strip


class VersionRow(Struct, frozen=True):
    """A version in a list, with how it was judged."""

    version: ModelVersion
    aliases: list[str]
    metric: MetricValue | None
    passed: bool | None


class SliceRow(Struct, frozen=True):
    """A slice with its primary metric, drawn beside all other slices."""

    part: SliceResult
    metric: MetricValue | None
    strip: Markup


def list_models(context: PageContext, request: Request) -> Response:
    """Every model with its versions and aliases."""
    registry = context.services.registry
    rows = [
        (
            model,
            [_row(context, version) for version in registry.list_versions(model.name)],
            registry.alias_history(model.name),
        )
        for model in registry.list_models()
    ]
    return context.renderer.page(request, "models.html", title="Models", rows=rows)


def show_version(context: PageContext, request: Request) -> Response:
    """One version: how it was judged, how good it is and where, and what it came from."""
    services = context.services
    name, number = request.path_params["model"], read_version(request)
    version = services.registry.get_version(name, number)
    report = services.evaluation.get_report(version.report_id) if version.report_id else None
    verdicts = services.evaluation.list_verdicts(report.id) if report else []
    up = services.governance.trace_lineage(str(version.ref), "up")
    down = services.governance.trace_lineage(str(version.ref), "down")
    return context.renderer.page(
        request,
        "model.html",
        title=f"{name} version {number}",
        version=version,
        aliases=_aliases(context, name).get(number, []),
        report=report,
        verdict=verdicts[0] if verdicts else None,
        gates_shown=codec.to_builtins(verdicts[0].gates) if verdicts else [],
        slices=_draw_slices(report) if report else [],
        history=[move for move in services.registry.alias_history(name) if number in (move.before, move.after)],
        newest=services.registry.get_model(name).latest_version,
        lineage=draw_lineage(version.ref, [*up.edges, *down.edges]),
    )


def _row(context: PageContext, version: ModelVersion) -> VersionRow:
    evaluation = context.services.evaluation
    report = evaluation.get_report(version.report_id) if version.report_id else None
    verdicts = evaluation.list_verdicts(report.id) if report else []
    return VersionRow(
        version,
        _aliases(context, version.model).get(version.version, []),
        report.find_metric(report.primary) if report else None,
        verdicts[0].passed if verdicts else None,
    )


def _draw_slices(report: Report) -> list[SliceRow]:
    """Slices by column, the worst of each first, on one scale."""
    found = [(part, _primary(part, report)) for part in report.slices]
    values = [value for _, m in found if m for value in (m.value, m.low, m.high)]
    whole = report.find_metric(report.primary)
    ends = common_range([*values, whole.value if whole else None])
    rows = []
    for part, metric in found:
        shown = metric or MetricValue(name="", value=None, n=0, higher_is_better=True)
        strip = interval_strip(ends, shown.value, shown.low, shown.high, reference=whole.value if whole else None)
        rows.append(SliceRow(part, metric, strip))
    return sorted(
        rows, key=lambda row: (row.part.column, row.part.difference if row.part.difference is not None else 0.0)
    )


def _primary(part: SliceResult, report: Report) -> MetricValue | None:
    return next((metric for metric in part.metrics if metric.name == report.primary), None)


def _aliases(context: PageContext, model: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias in context.services.registry.list_aliases(model):
        found.setdefault(alias.version, []).append(alias.alias)
    return found
