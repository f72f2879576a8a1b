"""The pages of datasets: versions with their schema, profile and checks, and what changed between two."""

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.ids import Ref
from penstock.datasets.types import ColumnProfile, DatasetVersion, TopValue
from penstock.server.web.context import PageContext, read_version
from penstock.server.web.drawings.strips import bar_strip

VERSIONS_SHOWN = 12
REPORTS_SHOWN = 200
TOP_SHOWN = 3
FREQUENT = 0.01  # a value in fewer rows says nothing about its column


class Top(Struct, frozen=True):
    """A frequent value with its share of the rows as a bar."""

    top: TopValue
    share: float
    strip: Markup


class ColumnRow(Struct, frozen=True):
    """A column with the part it plays and its most frequent values."""

    profile: ColumnProfile
    roles: list[str]
    top: list[Top]


def list_datasets(context: PageContext, request: Request) -> Response:
    """Every dataset with its newest versions, and data that checks kept out."""
    datasets = context.services.datasets
    rows = []
    for found in datasets.list_datasets():
        reports = datasets.list_check_reports(found.name)
        refused = [report for report in reports if report.version is None]
        rows.append((found, datasets.list_versions(found.name, VERSIONS_SHOWN), refused, refused[:1] == reports[:1]))
    return context.renderer.page(request, "data.html", title="Data", rows=rows)


def show_version(context: PageContext, request: Request) -> Response:
    """One version: where it came from, what its columns look like, what its checks found."""
    name, number = request.path_params["dataset"], read_version(request)
    datasets = context.services.datasets
    version = datasets.get_version(name, number)
    reports = [report for report in datasets.list_check_reports(name, REPORTS_SHOWN) if report.version == number]
    versions = datasets.list_versions(name, VERSIONS_SHOWN, before=number + VERSIONS_SHOWN // 2)
    return context.renderer.page(
        request,
        "dataset.html",
        title=f"{name} version {number}",
        version=version,
        before=next((other for other in versions if other.version == number - 1), None),
        report=reports[0] if reports else None,
        versions=versions[::-1],
        columns=[_describe(column, version) for column in version.profile.columns],
        readers=_readers(context, version.ref),
    )


def _describe(column: ColumnProfile, version: DatasetVersion) -> ColumnRow:
    roles = version.roles
    parts = {"label": roles.label, "time": roles.time}
    played = [role for role, name in parts.items() if name == column.name]
    if roles.key and column.name in roles.key.split(","):
        played.append("key")
    rows = max(version.rows, 1)
    frequent = [top for top in column.top[:TOP_SHOWN] if top.rows / rows >= FREQUENT]
    return ColumnRow(column, played, [Top(top, top.rows / rows, bar_strip(top.rows / rows)) for top in frequent])


def _readers(context: PageContext, version: Ref) -> list[Ref]:
    """The runs and reports that read this version themselves."""
    edges = context.services.governance.trace_lineage(str(version), "down").edges
    return sorted({edge.target for edge in edges if edge.source == version and edge.target.kind != "quarantine"})
