"""Confidence sequences of a rollout, drawn over what was seen, with their bars and the regions on either side."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape
from msgspec import Struct

from penstock.server.web.drawings.plot import Area, Scale, fit_values, step_axis, value_axis
from penstock.server.web.words.formats import format_share
from penstock.server.web.words.measures import MEASURES, STATES, tell_bar, tell_scaled, tell_sequence
from penstock.serving.types import Rollout, RolloutMeasures

AREA = Area(width=520, height=250, left=60, right=24, top=46, css="half")
TONES = {"not_worse": "good", "worse": "bad", "unknown": "accent"}
COUNTED = {"reward": "rewards of the candidate", "metric": "values of the candidate"}
PERCENT = 100  # shares of requests are drawn in percent
MARGIN = 0.18  # of the range of values: room above and below, so that both sides of the bar have a name
TOO_BAD, GOOD_ENOUGH = "worse than allowed", "not worse"
LETTER = 15  # the height of a name
HATCH = 12  # between the lines of the region beyond the bar

Measure = Mapping[str, Any]


class Judged(Struct, frozen=True):
    """What the judge saw at one moment: the share of traffic that the candidate had, and each measure."""

    at: datetime
    share: float
    measures: Sequence[Measure]


class DrawnMeasure(Struct, frozen=True):
    """One measure of a rollout in a drawing and in words."""

    title: str
    beside: str
    state: str
    tone: str
    estimate: str
    between: str
    bar: str
    says: str
    wanted: str
    drawing: Markup


def read_judged(rollout: Rollout, noted: Sequence[RolloutMeasures] = ()) -> list[Judged]:
    """What the judge saw of a rollout at its events, and between them as it was noted; oldest first."""
    found = [Judged(held.at, held.share, held.evidence["measures"]) for held in noted if held.evidence.get("measures")]
    share = 0.0
    for event in rollout.events:
        if event.evidence.get("measures"):
            found.append(Judged(event.at, share, event.evidence["measures"]))
        share = event.share
    return sorted(found, key=lambda judged: judged.at)


def draw_measures(moments: Sequence[Judged]) -> list[DrawnMeasure]:
    """Each measure that was looked at last, in a drawing and in words.

    What was seen in the shadow and what was seen in traffic are judged apart, so only the present one is drawn.

    Args:
        moments: oldest first.
    """
    if not moments:
        return []
    is_shadow = moments[-1].share == 0
    present = [moment for moment in moments if (moment.share == 0) == is_shadow]
    return [_tell(measure, present) for measure in moments[-1].measures]


def _tell(measure: Measure, moments: Sequence[Judged]) -> DrawnMeasure:
    estimate = measure["estimate"]
    return DrawnMeasure(
        title=_name(measure),
        beside="against the stable revision" if measure["beside"] == "stable" else "against the guard",
        state=_state(measure),
        tone=TONES.get(measure["state"], ""),
        estimate="nothing is known" if estimate is None else tell_scaled(measure, estimate),
        between=tell_sequence(measure),
        bar=tell_bar(measure),
        says=measure["says"],
        wanted=measure["wanted"],
        drawing=draw_sequence(measure["name"], measure["beside"], moments),
    )


class _Seen(Struct, frozen=True):
    """A measure at one moment, in the units of the drawing."""

    n: int
    share: float
    estimate: float | None
    low: float | None
    high: float | None
    text: str


def draw_sequence(name: str, beside: str, moments: Sequence[Judged]) -> Markup:
    """The confidence sequence of one measure, from the first value to the last.

    The region in which the candidate would be worse than allowed is hatched, and each side of the bar has its name.

    Args:
        name: of the measure.
        beside: what it is held against.
        moments: oldest first.
    """
    found = [(moment, held) for moment in moments for held in moment.measures if _is(held, name, beside)]
    seen = [_read(moment, held) for moment, held in found if held["n"][0] and held["estimate"] is not None]
    if not seen:
        return Markup('<p class="empty">Nothing was seen of it yet.</p>')
    last = found[-1][1]
    factor = _factor(name)
    bar = last["bar"] * factor
    scale = _scale(seen, bar, last["scale"])
    title = f"{_name(last)}: {tell_scaled(last, last['estimate'])}, {tell_sequence(last)}"
    title += f"; {tell_bar(last)} is allowed: {_state(last)}"
    inside = [_region(scale, bar, last["good"]), _band(scale, seen), _line(scale, seen), _end(scale, seen[-1])]
    parts = [
        value_axis(scale, _unit(last)),
        step_axis(scale, COUNTED.get(name, "requests to the candidate")),
        _clip(scale, "".join(inside)),
        *_steps(scale, seen),
        _bar(scale, bar, last["good"], seen[-1]),
    ]
    return Markup(
        f'<figure class="chart"><svg class="chart {AREA.css} sequence" viewBox="0 0 {AREA.width} {AREA.height}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _is(held: Measure, name: str, beside: str) -> bool:
    return (held["name"], held["beside"]) == (name, beside)


def _factor(name: str) -> float:
    return PERCENT if name == "error_rate" else 1.0


def _name(measure: Measure) -> str:
    name = str(measure["name"])
    return MEASURES.get(name, name)


def _state(measure: Measure) -> str:
    state = str(measure["state"])
    return STATES.get(state, state)


def _unit(measure: Measure) -> str:
    name = str(measure["name"])
    unit = {"error_rate": "% of requests", "latency_p99": "milliseconds"}.get(name, name)
    if measure["scale"] == "ratio":
        return "times that of the stable revision"
    return f"{unit}, more than the stable revision" if measure["scale"] == "difference" else unit


def _read(moment: Judged, held: Measure) -> _Seen:
    factor = _factor(held["name"])
    estimate, low, high = (None if held[end] is None else held[end] * factor for end in ("estimate", "low", "high"))
    told = f"{moment.at:%d %b, %H:%M}, {held['n'][0]:,}: {tell_scaled(held, held['estimate'])}, {tell_sequence(held)}"
    return _Seen(held["n"][0], moment.share, estimate, low, high, told)


def _scale(seen: Sequence[_Seen], bar: float, kind: str) -> Scale:
    """Holds the bar, and what is known in the end with some of what was known before; the widest beginning is cut."""
    last = seen[-1]
    known = [value for value in (last.estimate, last.low, last.high, bar) if value is not None]
    known += {"difference": [0.0], "ratio": [1.0]}.get(kind, [])
    room = (max(known) - min(known)) * MARGIN or abs(bar) * 0.5 or 1.0
    least = 0.0 if kind != "difference" else min(known) - room
    low, high, step = fit_values([max(least, min(known) - room), max(known) + room], from_zero=kind == "value")
    return Scale(area=AREA, low=low, high=high, step=step, start=0, end=last.n)


def _clip(scale: Scale, content: str) -> str:
    """Only what lies between the axes."""
    area = scale.area
    width, height = area.right_edge - area.left, area.bottom_edge - area.top
    return (
        f'<svg x="{area.left}" y="{area.top}" width="{width}" height="{height}" '
        f'viewBox="{area.left} {area.top} {width} {height}">{content}</svg>'
    )


def _region(scale: Scale, bar: float, good: str) -> str:
    """The side of the bar on which the candidate would be worse, hatched."""
    area, y = scale.area, scale.y(bar)
    top, bottom = (area.top, y) if good == "below" else (y, area.bottom_edge)
    height = max(bottom - top, 0.0)
    lines = " ".join(
        f"M{x} {bottom:.1f}L{x + height:.1f} {top:.1f}"
        for x in range(area.left - round(height), area.right_edge, HATCH)
    )
    place = f'x="{area.left}" y="{top:.1f}" width="{area.right_edge - area.left}" height="{height:.1f}"'
    return f'<rect class="beyond" {place}/><path class="hatch" d="{lines}"/>'


def _band(scale: Scale, seen: Sequence[_Seen]) -> str:
    """Between the ends of the sequence; where an end is not known it lies beyond the drawing."""
    far = scale.high - scale.low
    upper = [(one.n, scale.high + far if one.high is None else one.high) for one in seen]
    lower = [(one.n, scale.low - far if one.low is None else one.low) for one in reversed(seen)]
    if len(seen) < 2:
        return ""
    place = " ".join(f"{scale.x(n):.1f},{scale.y(value):.1f}" for n, value in upper + lower)
    return f'<polygon class="band-1" points="{place}"/>'


def _line(scale: Scale, seen: Sequence[_Seen]) -> str:
    """The estimates, each with a place to point at."""
    places = [(scale.x(one.n), scale.y(one.estimate or 0.0), one) for one in seen]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    dots = "".join(
        f'<g><circle class="hit" cx="{x:.1f}" cy="{y:.1f}" r="8"/><title>{escape(one.text)}</title></g>'
        for x, y, one in places
    )
    return f'<polyline class="line-1" points="{path}"/>{dots}'


def _end(scale: Scale, last: _Seen) -> str:
    """Where the sequence stands now, as a whisker with the estimate on it."""
    x, reach = scale.x(last.n) - 6, scale.high - scale.low
    top = scale.y(scale.high + reach if last.high is None else last.high)
    bottom = scale.y(scale.low - reach if last.low is None else last.low)
    caps = "".join(f"M{x - 5:.1f} {y:.1f}H{x + 5:.1f}" for y in (top, bottom))
    return (
        f'<path class="whisker" d="M{x:.1f} {top:.1f}V{bottom:.1f}{caps}"/>'
        f'<circle class="dot-1" cx="{x:.1f}" cy="{scale.y(last.estimate or 0.0):.1f}" r="4.5"/>'
    )


def _steps(scale: Scale, seen: Sequence[_Seen]) -> list[str]:
    """Where the candidate's share of the traffic changed."""
    parts = []
    for before, after in itertools.pairwise(seen):
        if before.share != after.share:
            x, area = scale.x(before.n), scale.area
            parts.append(
                f'<line class="step" x1="{x:.1f}" x2="{x:.1f}" y1="{area.top - 4}" y2="{area.bottom_edge}"/>'
                f'<text class="step-label" x="{x:.1f}" y="{area.top - 7}" text-anchor="middle">'
                f"{format_share(after.share)}</text>"
            )
    return parts


def _bar(scale: Scale, bar: float, good: str, last: _Seen) -> str:
    """The bar, and the names of its two sides: in the corners, unless the sequence ends there."""
    area, y = scale.area, scale.y(bar)
    names = (TOO_BAD, GOOD_ENOUGH) if good == "below" else (GOOD_ENOUGH, TOO_BAD)
    end = scale.y(last.estimate or 0.0)
    labels = "".join(
        f'<text class="side-label" x="{area.right_edge - 16}" '
        f'y="{beside if abs(corner - LETTER / 2 - end) < LETTER else corner:.1f}" text-anchor="end">{name}</text>'
        for name, corner, beside in zip(
            names, (area.top + LETTER, area.bottom_edge - LETTER / 2), (y - LETTER / 2, y + LETTER), strict=True
        )
    )
    return f'<line class="bar" x1="{area.left}" x2="{area.right_edge}" y1="{y:.1f}" y2="{y:.1f}"/>{labels}'
