"""The pages of models: all versions, and one with its verdict, metrics, slices and lineage."""

import itertools
from datetime import UTC, datetime
from urllib.parse import urlencode

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.evaluation.types import MetricValue, Report, SliceResult
from penstock.registry.types import ModelVersion
from penstock.server.web.context import LONGEST_NUMBER, PageContext, read_version
from penstock.server.web.drawings.graph_svg import draw_lineage
from penstock.server.web.drawings.strips import common_range, interval_strip
from penstock.server.web.words.standing import tell_standing

MODELS_SHOWN = 50
FEW_VERSIONS = 5  # of each model in the list of all
VERSIONS_SHOWN = 100
CHANGES_SHOWN = 100
FILES_SHOWN = 200
DOWNLOAD = "/model-versions/get-artifact"


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
    after = request.query_params.get("after", "")
    models = registry.list_models(limit=MODELS_SHOWN, after=after)
    rows = [(model, _rows(context, model.name, limit=FEW_VERSIONS)) for model in models]
    last = models[-1].name if len(models) == MODELS_SHOWN else ""
    return context.renderer.page(request, "models.html", title="Models", rows=rows, few=FEW_VERSIONS, last=last)


def show_model(context: PageContext, request: Request) -> Response:
    """One model: its versions, and which version an alias meant at any time, with what happened since; `?at=TIME`."""
    registry = context.services.registry
    asked = request.query_params
    model = registry.get_model(request.path_params["model"])
    at, refusal = _read_time(asked.get("at", ""))
    before = asked.get("before", "")
    rows = _rows(context, model.name, limit=VERSIONS_SHOWN, before=int(before) if _is_number(before) else None)
    return context.renderer.page(
        request,
        "model.html",
        title=model.name,
        model=model,
        rows=rows,
        last=rows[-1].version.version if len(rows) == VERSIONS_SHOWN else 0,
        at=at,
        asked_at=asked.get("at", ""),
        refusal=refusal,
        aliases=registry.aliases_at(model.name, at) if at else [],
        current=registry.list_aliases(model.name),
        changes=registry.history(model.name, until=at, limit=CHANGES_SHOWN),
    )


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
        "version.html",
        title=f"{name} version {number}",
        version=version,
        form=version.describe_form(),
        standing=tell_standing(services.trust.get_standing(version.tree)) if version.tree else None,
        aliases=_aliases(context, name).get(number, []),
        report=report,
        verdict=verdicts[0] if verdicts else None,
        gates_shown=codec.to_builtins(verdicts[0].gates) if verdicts else [],
        slices=_draw_slices(report) if report else [],
        history=[move for move in services.registry.alias_history(name) if number in (move.before, move.after)],
        newest=services.registry.get_model(name).latest_version,
        files=_list_files(context, version),
        lineage=draw_lineage(version.ref, [*up.edges, *down.edges]),
    )


def _rows(context: PageContext, model: str, *, limit: int, before: int | None = None) -> list[VersionRow]:
    aliases = _aliases(context, model)
    versions = context.services.registry.list_versions(model, limit, before)
    return [_row(context, version, aliases.get(version.version, [])) for version in versions]


def _row(context: PageContext, version: ModelVersion, aliases: list[str]) -> VersionRow:
    evaluation = context.services.evaluation
    report = evaluation.get_report(version.report_id) if version.report_id else None
    verdicts = evaluation.list_verdicts(report.id) if report else []
    return VersionRow(
        version,
        aliases,
        report.find_metric(report.primary) if report else None,
        verdicts[0].passed if verdicts else None,
    )


def _list_files(context: PageContext, version: ModelVersion) -> list[tuple[str, int, str]]:
    """The files of a version with their sizes, and where they are downloaded from."""
    if version.tree is None:
        return []
    found = itertools.islice(context.services.objects.list_files(version.tree), FILES_SHOWN)
    asked = {"name": version.model, "version": str(version.version)}
    return [(path, entry.size, f"{DOWNLOAD}?{urlencode({**asked, 'path': path})}") for path, entry in found]


def _read_time(text: str) -> tuple[datetime | None, InvalidInputError | None]:
    """A moment as an address says it, in UTC unless it says otherwise."""
    if not text.strip():
        return None, None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None, InvalidInputError(
            f"{text[:40]!r} is no moment", hint="write one such as 2026-03-01 or 2026-03-01T12:30"
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC), None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


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
