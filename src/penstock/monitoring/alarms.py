"""From windows to alerts: which are to be opened, and which have passed. Pure functions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from penstock.core.ids import AlertId
from penstock.core.project.types import Project
from penstock.monitoring.types import Alert, AlertKind, Window

KINDS: tuple[AlertKind, ...] = ("drift", "performance")
CALM = 0.05  # a column has come back when its p-value says nothing; not rejecting at a tiny level would be too weak


class Alarm(Struct, frozen=True, kw_only=True):
    """An alert that is to be opened."""

    window: Window
    kind: AlertKind
    summary: str
    evidence: dict[str, Any]


class Recovery(Struct, frozen=True, kw_only=True):
    """An open alert whose cause has gone."""

    alert_id: AlertId
    reason: str
    as_of: datetime


def find_alarms(project: Project, windows: Sequence[Window], live: int | None, alerts: Sequence[Alert]) -> list[Alarm]:
    """At most one alarm of each kind: the oldest window of the live version that no alert of that kind covers yet."""
    alarms = []
    for kind in KINDS:
        own = [alert for alert in alerts if alert.kind == kind]
        if any(alert.status == "open" and alert.evidence.get("version") == live for alert in own):
            continue
        since = max((alert.resolved_as_of or alert.as_of for alert in own), default=None)
        for window in windows:
            raised = window.drifted if kind == "drift" else window.lost
            if raised and window.version == live and (since is None or window.end > since):
                alarms.append(_describe(project, window, kind))
                break
    return alarms


def find_recoveries(windows: Sequence[Window], live: int | None, alerts: Sequence[Alert]) -> list[Recovery]:
    """The open alerts that nothing speaks for any more."""
    recoveries = []
    for alert in alerts:
        if alert.status != "open":
            continue
        if alert.evidence.get("version") != live:
            reason = f"version {alert.evidence.get('version')}, which it is about, is no longer live"
            recoveries.append(Recovery(alert_id=alert.id, reason=reason, as_of=alert.as_of))
            continue
        later = [window for window in windows if window.version == live and window.start > alert.window_start]
        if later and _is_calm(later[-1], alert):
            reason = f"the window of {_when(later[-1])} shows it no more"
            recoveries.append(Recovery(alert_id=alert.id, reason=reason, as_of=later[-1].end))
    return recoveries


def _is_calm(window: Window, alert: Alert) -> bool:
    if alert.kind == "drift":
        moved = set(alert.evidence.get("columns", {})) | set(window.drifted)
        p_values = {column.column: column.p_value for column in window.drift}
        return bool(window.number) and all((p_values.get(name) or 0.0) > CALM for name in moved)
    loss = window.loss
    if window.lost or window.performance is None:
        return False
    return loss is None or loss.tolerated is None or loss.mean_loss <= loss.tolerated


def _describe(project: Project, window: Window, kind: AlertKind) -> Alarm:
    evidence: dict[str, Any] = {"window": str(window.ref), "version": window.version, "rows": window.rows}
    if kind == "drift":
        return Alarm(window=window, kind=kind, summary=_tell_drift(window), evidence=evidence | _drift_evidence(window))
    return Alarm(
        window=window, kind=kind, summary=_tell_drop(project, window), evidence=evidence | _drop_evidence(window)
    )


def _tell_drift(window: Window) -> str:
    parts = []
    for column in window.drift:
        if column.drifted and column.p_value is not None and column.distance is not None:
            new = f", {column.new_share:.0%} of the rows new to the model" if column.new_share >= 0.01 else ""
            parts.append(f"{column.column} moved by {column.distance:.2f} (p = {column.p_value:.1g}{new})")
    return f"inputs of {_when(window)} differ from what version {window.version} was trained on: {'; '.join(parts)}"


def _drift_evidence(window: Window) -> dict[str, Any]:
    columns = {
        column.column: {
            "test": column.test,
            "p_value": column.p_value,
            "level": column.level,
            "distance": column.distance,
            "new_share": column.new_share,
        }
        for column in window.drift
        if column.drifted
    }
    return {"columns": columns, "level": window.level}


def _tell_drop(project: Project, window: Window) -> str:
    figures, loss, watched = window.performance, window.loss, project.monitor.performance
    value = "unknown" if figures is None or figures.value is None else f"{figures.value:.3g}"
    name = figures.metric if figures else "performance"
    if window.below_bar and watched is not None:
        bar = f"at least {watched.at_least:g}" if watched.at_least is not None else f"at most {watched.at_most:g}"
        return f"{name} of version {window.version} was {value} in {_when(window)}; the project asks for {bar}"
    lost = f" (mean loss {loss.mean_loss:.3g}, {loss.tolerated:.3g} was put up with)" if loss and loss.tolerated else ""
    return f"{name} of version {window.version} fell to {value} by {_when(window)}{lost}"


def _drop_evidence(window: Window) -> dict[str, Any]:
    figures, loss = window.performance, window.loss
    evidence: dict[str, Any] = {"below_bar": window.below_bar, "outcomes": window.outcomes}
    if figures is not None:
        evidence |= {"metric": figures.metric, "value": figures.value, "low": figures.low, "high": figures.high}
    if loss is not None:
        evidence |= {"mean_loss": loss.mean_loss, "tolerated": loss.tolerated, "detector": loss.evidence}
    return evidence


def _when(window: Window) -> str:
    if window.start.hour == window.start.minute == 0:
        return f"{window.start:%Y-%m-%d}"
    return f"{window.start:%Y-%m-%d %H:%M}"
