"""A gate of a verdict in a line: the number with its interval, and the bar that it had to reach."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from penstock.server.web.drawings.strips import common_range, interval_strip


def draw_gate(gate: Mapping[str, Any]) -> Markup:
    """The strip of a gate; nothing where it has no number.

    Args:
        gate: its fields, as evidence keeps them.
    """
    number, low, high, bar = (gate[name] for name in ("number", "low", "high", "bar"))
    return interval_strip(common_range([number, low, high, bar]), number, low, high, reference=bar)
