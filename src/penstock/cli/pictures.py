"""Small pictures of how values are spread, as characters of a line."""

from collections.abc import Sequence

from penstock.cli.output import Markup
from penstock.datasets.types import Bar

_BLOCKS = " ▁▂▃▄▅▆▇█"


def picture_pair(bars: Sequence[Bar]) -> tuple[Markup, Markup]:
    """The bars of both sides on one scale."""
    top = max((share for bar in bars for share in (bar.before, bar.after)), default=0.0) or 1.0
    return _picture([bar.before / top for bar in bars]), _picture([bar.after / top for bar in bars])


def _picture(heights: list[float]) -> Markup:
    marks = (max(round(height * (len(_BLOCKS) - 1)), int(height > 0)) for height in heights)
    return Markup("".join(_BLOCKS[mark] for mark in marks))
