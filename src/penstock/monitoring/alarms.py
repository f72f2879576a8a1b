"""From windows to alerts: which are to be opened, and which have passed. Pure functions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from msgspec import Struct

from penstock.core.ids import AlertId
from penstock.core.project.types import Project
from penstock.monitoring.summaries import describe
from penstock.monitoring.types import UNLABELLED, Alert, AlertKind, LossEvidence, Window
from penstock.monitoring.windows import tell_start

KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
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
            if window.version == live and (since is None or window.end > since) and _is_raised(window, kind):
                summary, evidence = describe(project, window, kind)
                alarms.append(Alarm(window=window, kind=kind, summary=summary, evidence=evidence))
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
        later = [
            window
            for window in windows
            if window.version == live
            and window.start >= alert.window_start
            and (alert.kind in UNLABELLED or window.is_comparable)
        ]
        if later and _is_calm(later[-1], alert):
            reason = f"the window of {tell_start(later[-1].start)} shows it no more"
            recoveries.append(Recovery(alert_id=alert.id, reason=reason, as_of=later[-1].end))
        elif later and not any(_is_raised(window, alert.kind) for window in later):
            reason = f"the window of {tell_start(alert.window_start)} was revised, and shows it no more"
            recoveries.append(Recovery(alert_id=alert.id, reason=reason, as_of=alert.window_start))
    return recoveries


def _is_raised(window: Window, kind: AlertKind) -> bool:
    if kind == "drift":
        return bool(window.drifted)
    if kind == "performance":
        return window.lost
    if kind == "estimate":
        return window.estimate is not None and window.estimate.dropped
    return any(
        evidence.lost and (kind in UNLABELLED or window.is_comparable)
        for evidence in window.watches
        if evidence.kind == kind
    )


def _is_calm(window: Window, alert: Alert) -> bool:
    if alert.kind == "drift":
        return bool(window.number) and _has_come_back(window, alert)
    if alert.kind == "performance":
        return not window.lost and window.performance is not None and _is_put_up_with(window.loss)
    if alert.kind == "estimate":  # an estimator that was withdrawn says nothing any more
        found = window.estimate
        return found is not None and (found.value is None or (found.p_value or 0.0) > CALM)
    watched = [evidence for evidence in window.watches if evidence.kind == alert.kind]
    return bool(watched) and all(map(_is_put_up_with, watched))


def _has_come_back(window: Window, alert: Alert) -> bool:
    """Whether nothing moves, and each column that moved is as it was, in all rows or in the segments it moved in."""
    columns = {column.column: column for column in window.drift}
    moved: dict[str, dict[str, Any]] = alert.evidence.get("columns", {})
    if window.drifted or not moved.keys() <= columns.keys():
        return False
    unusual = {name: {held.segment for held in column.segments} for name, column in columns.items()}
    return all(
        (columns[name].p_value or 0.0) > CALM and unusual[name].isdisjoint(found.get("segments", []))
        for name, found in moved.items()
    )


def _is_put_up_with(evidence: LossEvidence | None) -> bool:
    if evidence is None or evidence.tolerated is None:
        return True
    return not evidence.lost and evidence.mean_loss <= evidence.tolerated
