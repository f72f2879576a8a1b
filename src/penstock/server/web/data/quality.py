"""The page of a dataset's quality: every check and every column from version to version."""

from collections.abc import Sequence
from urllib.parse import quote

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.datasets.quality import ColumnQuality, QualityPoint
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.charts import Point, Series, line_chart
from penstock.server.web.drawings.plot import HALF
from penstock.server.web.drawings.strips import spark_strip

POINTS_SHOWN = 40
COLUMNS_SHOWN = 200


class Mark(Struct, frozen=True):
    """What became of one check in one report."""

    tone: str  # calm, odd, drifted, none
    text: str  # shown when pointed at, and read out


class CheckRow(Struct, frozen=True):
    """One check over all reports."""

    name: str
    marks: list[Mark]
    last: str  # what was found last where it does not hold


class ColumnRow(Struct, frozen=True):
    """One column over all versions."""

    now: ColumnQuality
    missing: Markup
    distinct: Markup
    middle: Markup
    address: str


def show_quality(context: PageContext, request: Request) -> Response:
    """Checks, rows and columns of a dataset over time; one column in full when it is asked for."""
    dataset = request.path_params["dataset"]
    points = context.services.datasets.list_quality(dataset, POINTS_SHOWN)
    kept = [point for point in points if point.columns]
    chosen = request.query_params.get("column", "")
    return context.renderer.page(
        request,
        "quality.html",
        title=f"Quality of {dataset}",
        dataset=dataset,
        points=points,
        newest=kept[-1] if kept else None,
        checks=_check_rows(points),
        rows=_rows_chart(points),
        columns=_column_rows(dataset, kept),
        chosen=chosen,
        charts=_column_charts(kept, chosen),
    )


def _check_rows(points: Sequence[QualityPoint]) -> list[CheckRow]:
    """The checks that failed most lately first, the others as they were made."""
    names = list(dict.fromkeys(name for point in reversed(points) for name in point.checks))
    rows = [CheckRow(name, [_mark(point, name) for point in points], _last(points, name)) for name in names]
    return sorted(rows, key=lambda row: (not row.last, all(mark.tone in ("calm", "none") for mark in row.marks)))


def _mark(point: QualityPoint, name: str) -> Mark:
    when = f"version {point.version}" if point.version is not None else f"{point.at:%Y-%m-%d %H:%M}, kept out"
    if name not in point.checks:
        return Mark("none", f"{when}: not made")
    found = [failed for failed in point.failed if failed.name == name]
    if not found:
        return Mark("calm", f"{when}: holds")
    worst = min(found, key=lambda failed: failed.action != "block")
    tone = {"block": "drifted", "quarantine": "odder", "warn": "odd"}[worst.action]
    return Mark(tone, f"{when}: {worst.message}")


def _last(points: Sequence[QualityPoint], name: str) -> str:
    return next((failed.message for failed in points[-1].failed if failed.name == name), "") if points else ""


def _rows_chart(points: Sequence[QualityPoint]) -> Markup:
    looked = [Point(float(place), float(point.rows), note=_note(point)) for place, point in enumerate(points, 1)]
    series = [Series("rows looked at", looked)]
    if any(point.quarantined for point in points):
        aside = [Point(float(place), float(p.quarantined), note=_note(p)) for place, p in enumerate(points, 1)]
        series.append(Series("put aside", aside))
    return line_chart(series, title="Rows from report to report", from_zero=True, axis="report")


def _note(point: QualityPoint) -> str:
    return f"version {point.version}" if point.version is not None else f"kept out {point.at:%Y-%m-%d %H:%M}"


def _column_rows(dataset: str, points: Sequence[QualityPoint]) -> list[ColumnRow]:
    rows = []
    for now in points[-1].columns[:COLUMNS_SHOWN] if points else ():
        over = [_find(point, now.name) for point in points]
        address = f"/data/{quote(dataset, safe='')}/quality?column={quote(now.name, safe='')}#column"
        rows.append(
            ColumnRow(
                now,
                spark_strip([None if each is None else each.missing for each in over], from_zero=True),
                spark_strip([None if each is None or each.distinct is None else float(each.distinct) for each in over]),
                spark_strip([None if each is None else _centre(each) for each in over]),
                address,
            )
        )
    return rows


def _find(point: QualityPoint, name: str) -> ColumnQuality | None:
    return next((column for column in point.columns if column.name == name), None)


def _centre(column: ColumnQuality) -> float | None:
    return column.mean if column.middle is None else column.middle


def _column_charts(points: Sequence[QualityPoint], name: str) -> list[tuple[str, Markup]]:
    over = [(float(p.version or 0), p, found) for p in points if (found := _find(p, name)) is not None]
    if not over:
        return []
    missing = [Point(at, each.missing * 100, note=_note(p)) for at, p, each in over]
    charts = [
        (
            "Missing values",
            line_chart(
                [Series("missing", missing)],
                title=f"Missing values of {name}",
                unit="%",
                area=HALF,
                from_zero=True,
                axis="version",
            ),
        )
    ]
    spread = [Point(at, each.middle, each.low, each.high, _note(p)) for at, p, each in over if each.middle is not None]
    if spread and over[-1][2].kind in ("integer", "number"):
        chart = line_chart(
            [Series("median", spread)],
            title=f"Spread of {name}",
            area=HALF,
            axis="version",
            band="5th to 95th percentile",
        )
        charts.append(("Spread of values", chart))
    means = [Point(at, each.mean, note=_note(p)) for at, p, each in over if each.mean is not None]
    if means:
        charts.append(("Mean", line_chart([Series("mean", means)], title=f"Mean of {name}", area=HALF, axis="version")))
    counts = [Point(at, float(each.distinct), note=_note(p)) for at, p, each in over if each.distinct is not None]
    if counts:
        drawn = line_chart([Series("distinct", counts)], title=f"Distinct values of {name}", area=HALF, axis="version")
        charts.append(("Distinct values", drawn))
    return charts
