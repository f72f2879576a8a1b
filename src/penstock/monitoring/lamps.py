"""Three lamps that are never mixed: inputs changed, estimated performance changed, measured performance changed.

A pure function of windows and alerts. Inputs that moved call nobody by themselves: most of the time a model goes on as
well as before. A lamp whose question cannot be answered is unknown, never off.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from penstock.monitoring.types import Alert, AlertKind, Window
from penstock.monitoring.windows import tell_start

LampState = Literal["off", "on", "unknown"]
MEASURED: tuple[AlertKind, ...] = ("performance", "calibration", "fairness", "latency", "errors")


class Lamp(Struct, frozen=True, kw_only=True):
    """One answer."""

    state: LampState
    since: datetime | None = None  # event time: when that state began; None where there is no window
    why: str  # in plain words
    window: datetime | None = None  # event time: start of the window it rests on
    pages: bool = True  # somebody is called when it goes on


class Lamps(Struct, frozen=True, kw_only=True):
    """What is known of one deployment, by how it is known."""

    deployment: str
    version: int | None = None  # of the model they are about
    inputs: Lamp  # do the inputs differ from those the model was trained on?
    estimated: Lamp  # without outcomes: does the model seem to do worse?
    measured: Lamp  # with outcomes and answers: does it do worse?


class _Reading(Struct, frozen=True):
    """What one window says of one lamp."""

    state: LampState
    why: str


def read_lamps(deployment: str, windows: Sequence[Window], alerts: Sequence[Alert]) -> Lamps:
    """The lamps of a deployment.

    Args:
        deployment: its name.
        windows: its newest ones, oldest first; the version of the last one is what the lamps are about.
        alerts: its alerts, of any status.
    """
    version = windows[-1].version if windows else None
    own = [window for window in windows if window.version == version]
    opened = [alert for alert in alerts if alert.status == "open" and alert.evidence.get("version") == version]
    return Lamps(
        deployment=deployment,
        version=version,
        inputs=_light(own, opened, ("drift",), [_read_inputs(window) for window in own], pages=False),
        estimated=_light(own, opened, ("estimate",), [_read_estimate(window) for window in own]),
        measured=_light_measured(own, opened),
    )


def _light_measured(windows: Sequence[Window], opened: Sequence[Alert]) -> Lamp:
    """Of the newest window that enough is known of: where outcomes take their time, those after it are young.

    Once a young one should have matured, there is no telling.
    """
    readings, young = [_read_measures(window) for window in windows], 0
    while young < len(windows) and _is_young(windows[-1 - young]) and readings[-1 - young].state == "unknown":
        young += 1
    settled = len(windows) - young
    if not settled or any(_is_overdue(window, windows[-1].end) for window in windows[settled:]):
        return _light(windows, opened, MEASURED, readings)
    lamp = _light(windows[:settled], opened, MEASURED, readings[:settled])
    if lamp.state == "on" or not young:
        return lamp
    return structs.replace(lamp, why=f"{lamp.why}; {young} later {'windows are' if young > 1 else 'window is'} young")


def _is_young(window: Window) -> bool:
    return window.maturity is not None and not window.maturity.matured


def _is_overdue(window: Window, as_of: datetime) -> bool:
    due = None if window.maturity is None else window.maturity.matures_at
    return due is not None and as_of > due


def _light(
    windows: Sequence[Window],
    opened: Sequence[Alert],
    kinds: tuple[AlertKind, ...],
    readings: list[_Reading],
    *,
    pages: bool = True,
) -> Lamp:
    """On while an alert of these kinds is open; otherwise what the newest window says, since it has said so."""
    raised = [alert for kind in kinds for alert in opened if alert.kind == kind]  # the gravest first
    if raised:
        since = min(alert.window_start for alert in raised)
        return Lamp(state="on", since=since, why=_tell_alerts(raised), window=since, pages=pages)
    if not windows:
        return Lamp(state="unknown", why="no window has closed yet", pages=pages)
    state, first, newest = readings[-1].state, len(readings) - 1, windows[-1].start
    while first > 0 and readings[first - 1].state == state:
        first -= 1
    return Lamp(state=state, since=windows[first].start, why=readings[-1].why, window=newest, pages=pages)


def _tell_alerts(alerts: Sequence[Alert]) -> str:
    """What was seen, and each cause once."""
    causes = [alert.cause.told for alert in alerts if alert.cause is not None]
    seen = "; ".join(alert.seen for alert in alerts)
    return ". ".join([seen, *dict.fromkeys(cause for cause in causes if cause)])


def _read_inputs(window: Window) -> _Reading:
    when = tell_start(window.start)
    if window.drifted:
        return _Reading("on", f"{window.drifted_told} moved in {when}")
    if window.drift and any(column.p_value is not None for column in window.drift):
        return _Reading("off", f"no column moved in {when}")
    return _Reading("unknown", window.drift_note or "no column can be compared")


def _read_estimate(window: Window) -> _Reading:
    found, when = window.estimate, tell_start(window.start)
    if found is None:
        return _Reading("unknown", "performance is not watched: the project has no monitor.performance")
    if found.value is None:
        return _Reading("unknown", found.note)
    if found.dropped:
        return _Reading("on", f"{found.metric} is estimated at {found.value:.3g} for {when}")
    return _Reading("off", f"{found.metric} is estimated at {found.value:.3g} for {when}, no worse than at first")


def _read_measures(window: Window) -> _Reading:
    when, held = tell_start(window.start), [window.loss, *window.watches]
    judged = [evidence for evidence in held if evidence is not None and evidence.tolerated is not None]
    if window.below_bar or any(evidence.lost for evidence in judged):
        names = [evidence.watch for evidence in judged if evidence.lost] or ["the project's own bar"]
        return _Reading("on", f"harm was measured in {when}: {', '.join(names)}")
    if window.maturity is not None and _is_young(window):
        return _Reading("unknown", f"{when} is young: {window.maturity.note}")
    if window.loss is not None and window.loss.tolerated is not None:
        return _Reading("off", f"no more is lost than is put up with in {when}")
    if window.loss is not None:
        return _Reading("unknown", "the first outcomes give the bar; what comes after is held against it")
    return _Reading("unknown", f"no outcome of {when} is known")
