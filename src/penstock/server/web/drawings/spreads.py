"""How the values of a column are spread before and after: bars side by side, as SVG made on the server."""

from markupsafe import Markup, escape
from msgspec import Struct

from penstock.datasets.types import Bar, Spread
from penstock.server.web.words.formats import format_share

_TOP, _BOTTOM = 8, 24
_GAP = 0.22  # of the width of a pair, between two pairs
Names = tuple[str, str]


class SpreadSize(Struct, frozen=True):
    """How large a spread is drawn, and how many of its edges are written."""

    width: int
    height: int
    css: str
    edges: int


SMALL = SpreadSize(520, 150, "half", 2)
LARGE = SpreadSize(1080, 230, "wide", 9)
PHONE = SpreadSize(360, 190, "narrow", 3)


def spread_chart(spread: Spread, title: str, names: Names = ("before", "after"), *, size: SpreadSize = SMALL) -> Markup:
    """A pair of bars for each range, in order; some edges are written below.

    Args:
        spread: ranges of numbers or times.
        title: read out by screen readers.
        names: of the two, as a pair is told that is pointed at.
        size: how large.
    """
    if not spread.bars:
        return Markup('<p class="empty">Nothing to draw.</p>')
    top = max(max(bar.before, bar.after) for bar in spread.bars) or 1.0
    pitch = size.width / len(spread.bars)
    drawn = "".join(_pair(bar, place * pitch, pitch, top, names, size) for place, bar in enumerate(spread.bars))
    floor = size.height - _BOTTOM
    axis = f'<line class="axis" x1="0" x2="{size.width}" y1="{floor}" y2="{floor}"/>'
    return Markup(
        f'<figure class="chart"><svg class="chart {size.css}" viewBox="0 0 {size.width} {size.height}" role="img" '
        f'aria-label="{escape(title)}">{drawn}{axis}{_edges(spread, size)}</svg></figure>'
    )


def _edges(spread: Spread, size: SpreadSize) -> str:
    """The first edge, the last one, and some between."""
    bars, last = spread.bars, len(spread.bars)
    count = min(size.edges, last + 1)
    parts = []
    for number in range(count):
        place = round(number * last / (count - 1))
        text = bars[place].label.partition(" to ")[0] if place < last else bars[-1].label.rpartition(" to ")[2]
        anchor = "start" if place == 0 else "end" if place == last else "middle"
        x = place * size.width / last
        parts.append(f'<text x="{x:.0f}" y="{size.height - 6}" text-anchor="{anchor}">{escape(text)}</text>')
    return "".join(parts)


def _pair(bar: Bar, left: float, pitch: float, top: float, names: Names, size: SpreadSize) -> str:
    width = pitch * (1 - _GAP) / 2
    start = left + pitch * _GAP / 2
    text = f"{bar.label}: {format_share(bar.before)} {names[0]}, {format_share(bar.after)} {names[1]}"
    rects = [
        _rect("spread-before", start, width, bar.before / top, size),
        _rect("spread-after", start + width, width, bar.after / top, size),
    ]
    hit = f'<rect class="hit" x="{left:.1f}" y="0" width="{pitch:.1f}" height="{size.height - _BOTTOM}"/>'
    return f"<g>{''.join(rects)}{hit}<title>{escape(text)}</title></g>"


def _rect(css: str, x: float, width: float, share: float, size: SpreadSize) -> str:
    height = share * (size.height - _TOP - _BOTTOM)
    y = size.height - _BOTTOM - height
    return f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1"/>'
