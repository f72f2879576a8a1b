"""The report of `penstock drift`: one HTML file that needs nothing else, with a picture of every column."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from msgspec import Struct

from penstock.datasets.types import Spread
from penstock.monitoring.table_drift import ComparedColumn, TableDrift
from penstock.server.web.drawings.spreads import spread_chart
from penstock.server.web.drawings.strips import pair_strip
from penstock.server.web.words.formats import format_measure, format_number, format_p_value, format_share

_FOLDER = Path(__file__).parent
_TESTS = {"ks": "Kolmogorov-Smirnov", "chi2": "chi-square", "type": "type of its values", "none": "not tested"}


class _Picture(Struct, frozen=True):
    """A chart of ranges, or values with their bars."""

    title: str  # what it shows; empty where it is the only one of its column
    chart: Markup | None
    bars: list[tuple[str, Markup, float, float]]


class _Row(Struct, frozen=True):
    """A column with its drawings."""

    column: ComparedColumn
    test: str
    share: float  # of the greatest possible distance
    pictures: list[_Picture]


def draw_report(found: TableDrift) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format_number,
        "measure": format_measure,
        "p_value": format_p_value,
        "share": format_share,
    }
    ordered = sorted(found.columns, key=lambda column: (not column.drifted, -(column.result.distance or 0.0)))
    return environment.get_template("drift_report.html").render(
        found=found,
        rows=[_draw(column) for column in ordered],
        style=Markup((_FOLDER / "static" / "style.css").read_text("utf-8")),
    )


def _draw(column: ComparedColumn) -> _Row:
    spreads = column.parts or ({} if column.spread is None else {"": column.spread})
    pictures = [_picture(column.name, title, spread) for title, spread in spreads.items() if spread.bars]
    return _Row(column, _TESTS[column.result.test], min(column.result.distance or 0.0, 1.0), pictures)


def _picture(name: str, title: str, spread: Spread) -> _Picture:
    if spread.is_ranges:
        return _Picture(title, spread_chart(spread, f"{title or 'Values'} of {name} in the reference and now"), [])
    top = max((share for bar in spread.bars for share in (bar.before, bar.after)), default=0.0) or 1.0
    bars = [(b.label, pair_strip(b.before / top, b.after / top), b.before, b.after) for b in spread.bars]
    return _Picture(title, None, bars)
