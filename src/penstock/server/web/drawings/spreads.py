"""How the values of a column are spread before and after: bars side by side, as SVG made on the server."""

from markupsafe import Markup, escape

from penstock.datasets.types import Bar, Spread
from penstock.server.web.words.formats import format_share

_WIDTH, _HEIGHT = 520, 150
_TOP, _BOTTOM = 8, 24
_GAP = 0.22  # of the width of a pair, between two pairs


Names = tuple[str, str]


def spread_chart(spread: Spread, title: str, names: Names = ("before", "after")) -> Markup:
    """A pair of bars for each range, in order; the ends are written below.

    Args:
        spread: ranges of numbers or times.
        title: read out by screen readers.
        names: of the two, as a pair is told that is pointed at.
    """
    if not spread.bars:
        return Markup('<p class="empty">Nothing to draw.</p>')
    top = max(max(bar.before, bar.after) for bar in spread.bars) or 1.0
    pitch = _WIDTH / len(spread.bars)
    drawn = "".join(_pair(bar, place * pitch, pitch, top, names) for place, bar in enumerate(spread.bars))
    floor = _HEIGHT - _BOTTOM
    axis = f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>'
    first, last = spread.bars[0].label.partition(" to ")[0], spread.bars[-1].label.rpartition(" to ")[2]
    ends = (
        f'<text x="0" y="{_HEIGHT - 6}">{escape(first)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{escape(last)}</text>'
    )
    return Markup(
        f'<figure class="chart"><svg class="chart half" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{drawn}{axis}{ends}</svg></figure>'
    )


def _pair(bar: Bar, left: float, pitch: float, top: float, names: Names) -> str:
    width = pitch * (1 - _GAP) / 2
    start = left + pitch * _GAP / 2
    text = f"{bar.label}: {format_share(bar.before)} {names[0]}, {format_share(bar.after)} {names[1]}"
    rects = [
        _rect("spread-before", start, width, bar.before / top),
        _rect("spread-after", start + width, width, bar.after / top),
    ]
    hit = f'<rect class="hit" x="{left:.1f}" y="0" width="{pitch:.1f}" height="{_HEIGHT - _BOTTOM}"/>'
    return f"<g>{''.join(rects)}{hit}<title>{escape(text)}</title></g>"


def _rect(css: str, x: float, width: float, share: float) -> str:
    height = share * (_HEIGHT - _TOP - _BOTTOM)
    y = _HEIGHT - _BOTTOM - height
    return f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1"/>'
