"""The page of what changed between two versions of a dataset."""

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import NotFoundError
from penstock.datasets.diff.types import ColumnDiff, DatasetDiff
from penstock.datasets.types import DatasetVersion
from penstock.server.web.context import LONGEST_NUMBER, PageContext
from penstock.server.web.drawings.spreads import spread_chart
from penstock.server.web.drawings.strips import pair_strip

READ_AT_ONCE = 64 << 20  # bytes of files up to which rows are compared without being asked for
FILES_SHOWN = 100


class BarRow(Struct, frozen=True):
    """A value or a range of a column, with its share of the rows before and after."""

    label: str
    before: float
    after: float
    strip: Markup


class ColumnCard(Struct, frozen=True):
    """A column with its bars."""

    column: ColumnDiff
    chart: Markup | None  # of ranges
    bars: list[BarRow]  # of values


def show_changes(context: PageContext, request: Request) -> Response:
    """Files, columns and spreads of two versions; rows too where they are few, or asked for."""
    dataset = request.path_params["dataset"]
    datasets = context.services.datasets
    after = datasets.get_version(dataset, _number(request, "after"))
    asked = _number(request, "before")
    before = datasets.get_version(dataset, asked if asked is not None else max(after.version - 1, 1))
    found = _compare(context, before, after, is_asked=request.query_params.get("rows") == "compare")
    return context.renderer.page(
        request,
        "changes.html",
        title=f"{dataset} version {before.version} to {after.version}",
        dataset=dataset,
        before=before,
        after=after,
        found=found,
        files=found.files[:FILES_SHOWN],
        cards=[_card(column) for column in found.columns if column.is_noteworthy],
        still=[column.name for column in found.columns if not column.is_noteworthy],
        versions=datasets.list_versions(dataset, 100),
    )


def _compare(context: PageContext, before: DatasetVersion, after: DatasetVersion, *, is_asked: bool) -> DatasetDiff:
    from penstock.datasets.diff.versions import diff_profiles, diff_versions  # data frames: 0.3 s of a server's start

    if is_asked or not after.files or before.size + after.size <= READ_AT_ONCE:
        return diff_versions(context.services.objects, before, after)
    return diff_profiles(before, after)


def _card(column: ColumnDiff) -> ColumnCard:
    if column.spread.is_ranges:
        return ColumnCard(column, spread_chart(column.spread, f"Values of {column.name} before and after"), [])
    return ColumnCard(column, None, _bars(column))


def _bars(column: ColumnDiff) -> list[BarRow]:
    top = max((share for bar in column.spread.bars for share in (bar.before, bar.after)), default=0.0) or 1.0
    return [BarRow(b.label, b.before, b.after, pair_strip(b.before / top, b.after / top)) for b in column.spread.bars]


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise NotFoundError(f"{text[:20]!r} is no version", hint="versions are numbered 1, 2, 3")
    return int(text)
