"""The measures of a rollout as people read them: values, confidence sequences and bars, each on its own scale."""

from collections.abc import Mapping
from typing import Any

from penstock.server.web.words.formats import format_measure, format_milliseconds, format_number, format_share

MEASURES = {"error_rate": "Failed", "latency_p99": "99 of 100 within", "reward": "Mean reward", "metric": "Metric"}
STATES = {"not_worse": "shown not worse", "worse": "shown worse", "unknown": "not known yet"}
TIMES = " times"


def tell_side(measure: Mapping[str, Any], side: str, place: int) -> str:
    """The value of one side, `candidate` or `stable`, and over how many; `place` is where its count stands."""
    value, n = measure.get(side), measure["n"][place]
    if value is None:
        return "" if not n else f"none over {format_number(n)}"
    tell = {"error_rate": format_share, "latency_p99": format_milliseconds}.get(measure["name"], format_measure)
    return f"{tell(value)} over {format_number(n)}"


def tell_sequence(measure: Mapping[str, Any]) -> str:
    """The confidence sequence; an end of which nothing is known is left open."""
    low, high = (None if measure.get(end) is None else tell_scaled(measure, measure[end]) for end in ("low", "high"))
    if low is None and high is None:
        return "nothing known"
    if low is None or high is None:
        return f"up to {high}" if low is None else f"from {low}"
    return f"{low.removesuffix(TIMES)} to {high}"


def tell_bar(measure: Mapping[str, Any]) -> str:
    """What is allowed."""
    return f"{'at most' if measure['good'] == 'below' else 'at least'} {tell_scaled(measure, measure['bar'])}"


def tell_scaled(measure: Mapping[str, Any], value: float) -> str:
    """A value on the scale of the measure, with its sign where it is a difference."""
    if measure["scale"] == "ratio":
        return f"{value:.3g}{TIMES}"
    if measure["name"] == "latency_p99":
        return format_milliseconds(value)
    text = (format_share if measure["name"] == "error_rate" else format_measure)(abs(value))
    if not text.strip("0.%"):
        return text  # it rounds to nothing, on whichever side
    return ("\u2212" if value < 0 else "+" if measure["scale"] == "difference" else "") + text
