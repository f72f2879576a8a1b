"""The distributions of a window as drawings: a chart for ranges, a table of bars for values."""

from datetime import datetime

from markupsafe import Markup
from msgspec import Struct

from penstock.datasets.types import Spread
from penstock.monitoring.types import ColumnDrift
from penstock.server.web.drawings.plot import on_either
from penstock.server.web.drawings.spreads import LARGE, PHONE, spread_chart
from penstock.server.web.drawings.strips import pair_strip, twin_strip
from penstock.server.web.monitoring.bins import Distribution
from penstock.server.web.monitoring.drift_map import tell_drift, tone_of
from penstock.server.web.words.windows import column_page

NAMES = ("in the reference", "in this window")
SMALL_BARS = 12  # of a category in a small picture


class ValueRow(Struct, frozen=True):
    """One value of a column, with its share in the reference and in the window."""

    label: str
    before: float
    after: float
    strip: Markup
    is_new: bool


class ColumnPicture(Struct, frozen=True):
    """A column of a window in a line: what was found, and a small picture."""

    drift: ColumnDrift
    tone: str
    told: str
    picture: Markup
    link: str


class SpreadPicture(Struct, frozen=True):
    """One way to look at a column in large: a chart of ranges, or a table of values."""

    title: str  # what it shows; empty where it is the only one
    chart: Markup | None
    values: list[ValueRow]


def picture_spreads(found: Distribution, column: str) -> list[SpreadPicture]:
    """All that can be drawn of a column; of lists that is more than one picture."""
    spreads = found.parts or {"": found.spread}
    return [
        SpreadPicture(
            title,
            draw_ranges(spread, f"{title or 'Values'} of {column}") if spread.is_ranges else None,
            [] if spread.is_ranges else list_values(spread, found.new if spread == found.spread else ()),
        )
        for title, spread in spreads.items()
        if spread.bars
    ]


def draw_ranges(spread: Spread, what: str) -> Markup:
    """A chart of ranges, reference and window side by side."""
    title = f"{what} in the reference and in this window"
    wide, narrow = (spread_chart(spread, title, NAMES, size=size) for size in (LARGE, PHONE))
    return on_either(wide, narrow)


def list_values(spread: Spread, new: tuple[str, ...]) -> list[ValueRow]:
    """Each value with its two bars on a common scale."""
    top = max((share for bar in spread.bars for share in (bar.before, bar.after)), default=0.0) or 1.0
    return [
        ValueRow(bar.label, bar.before, bar.after, pair_strip(bar.before / top, bar.after / top), bar.label in new)
        for bar in spread.bars
    ]


def draw_small(spread: Spread | None) -> Markup:
    """A picture that fits into a line of a table; nothing where nothing is known."""
    if spread is None or not spread.bars:
        return Markup("")
    return twin_strip([(bar.before, bar.after) for bar in spread.bars[: None if spread.is_ranges else SMALL_BARS]])


def picture_column(deployment: str, start: datetime, drift: ColumnDrift, spread: Spread | None) -> ColumnPicture:
    """A column with its small picture."""
    link = column_page(deployment, start, drift.column)
    return ColumnPicture(drift, tone_of(drift), tell_drift(drift), draw_small(spread), link)
