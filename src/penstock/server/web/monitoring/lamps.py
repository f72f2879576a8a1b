"""Three lamps of a deployment that are never mixed: inputs, estimated and measured performance.

A lamp whose question cannot be answered is unknown, never off.
"""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from penstock.monitoring.types import Alert, Window
from penstock.server.web.monitoring.figures import find_estimate
from penstock.server.web.words.formats import format_interval, format_measure
from penstock.server.web.words.windows import tell_window, window_page

LampState = Literal["off", "on", "unknown"]
Reading = tuple[LampState, str]  # and why, in plain words
STATES: dict[LampState, str] = {"off": "no change", "on": "changed", "unknown": "not known"}
NAMED = 3  # columns in the reason of a lamp


class Lamp(Struct, frozen=True, kw_only=True):
    """One answer as it is shown."""

    name: str
    state: LampState
    since: datetime | None = None  # event time: when the state began; None where there is no window
    why: str  # in plain words
    link: str = ""  # to the evidence
    pages: bool = True  # somebody is called when it goes on

    @property
    def says(self) -> str:
        """The state in words, for whoever does not see the colour."""
        return STATES[self.state]


def read_lamps(windows: Sequence[Window], alerts: Sequence[Alert]) -> list[Lamp]:
    """The three lamps, about the version of the newest window.

    Args:
        windows: the newest ones, oldest first.
        alerts: the open ones; an alert keeps its lamp on until it is resolved, whatever the newest window says.
    """
    version = windows[-1].version if windows else None
    own = [window for window in windows if window.version == version]
    opened = [alert for alert in alerts if alert.status == "open" and alert.evidence.get("version") == version]
    of_inputs, of_estimates = (
        [alert for alert in opened if alert.kind == "drift"],
        [alert for alert in opened if str(alert.kind) == "estimate"],
    )
    measured = [alert for alert in opened if alert not in of_inputs and alert not in of_estimates]
    return [
        _light("Inputs", own, of_inputs, _read_inputs, pages=False),
        _light("Estimated performance", own, of_estimates, _read_estimate),
        _light("Measured performance", own, measured, _read_measure),
    ]


def _light(
    name: str,
    windows: Sequence[Window],
    alerts: Sequence[Alert],
    read: Callable[[Window], Reading],
    *,
    pages: bool = True,
) -> Lamp:
    if alerts:
        first = min(alerts, key=lambda alert: alert.window_start)
        link = window_page(first.deployment, first.window_start)
        return Lamp(name=name, state="on", since=first.window_start, why=first.summary, link=link, pages=pages)
    known = [(window, read(window)) for window in windows]
    answered = [one for one in known if one[1][0] != "unknown"] or known
    if not answered:
        return Lamp(name=name, state="unknown", why="no window is closed yet", pages=pages)
    newest, (state, why) = answered[-1]
    run = list(itertools.takewhile(lambda one: one[1][0] == state, reversed(answered)))
    link = window_page(newest.deployment, newest.start)
    return Lamp(name=name, state=state, since=run[-1][0].start, why=why, link=link, pages=pages)


def _read_inputs(window: Window) -> Reading:
    when = tell_window(window)
    if not window.number:
        return "unknown", f"{when} was not compared: {window.drift_note or 'there is no reference'}"
    if not window.drifted:
        return "off", f"{when} is like what version {window.version} was trained on"
    named = ", ".join(window.drifted[:NAMED])
    more = f" and {len(window.drifted) - NAMED} more" if len(window.drifted) > NAMED else ""
    return "on", f"{named}{more} moved away from what version {window.version} was trained on, {when}"


def _read_estimate(window: Window) -> Reading:
    found, when = find_estimate(window), tell_window(window)
    if found is None:
        return "unknown", "no estimate is made"
    if found.withdrawn:
        return "unknown", f"the estimator has withdrawn itself: {found.withdrawn}"
    if found.value is None:
        return "unknown", found.note or f"there is no estimate for {when}"
    told = f"{format_measure(found.value)} [{format_interval(found.low, found.high)}], {when}"
    return ("on", f"estimated to have fallen to {told}") if found.dropped else ("off", f"estimated at {told}")


def _read_measure(window: Window) -> Reading:
    held, when = window.performance, tell_window(window)
    if held is None or held.value is None:
        return "unknown", f"too few outcomes of {when} are known"
    told = f"{held.metric} {format_measure(held.value)} [{format_interval(held.low, held.high)}], {when}"
    if window.lost:
        return "on", f"more is lost than is put up with: {told}"
    if window.loss is None or window.loss.tolerated is None:
        return "unknown", f"the first windows give the bar: {told}"
    return "off", told
