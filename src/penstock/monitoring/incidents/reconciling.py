"""From what speaks now to incidents: a pure function of the signals and of what is known.

It is level-triggered: whatever was missed, repeated or seen in another order, the next look at the same signals gives
the same incidents.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from penstock.core.ids import IncidentId
from penstock.monitoring.incidents.types import Incident, IncidentSignal, Signal

BY_ITSELF = "penstock"  # who resolved what nothing speaks for any more


class Known(Struct, frozen=True):
    """What is kept of one deployment: incidents that are not resolved, and signals that have not ended."""

    incidents: list[Incident]
    signals: list[IncidentSignal]


class Changes(Struct, frozen=True):
    """What has to be written."""

    incidents: list[Incident] = []  # new ones, and those that changed
    signals: list[IncidentSignal] = []  # likewise

    def __bool__(self) -> bool:
        return bool(self.incidents or self.signals)


def reconcile(signals: Sequence[Signal], known: Known, now: datetime, make_id: Callable[[], str]) -> Changes:
    """Which incidents there are, given what speaks now.

    A signal joins the oldest unresolved incident of its deployment that it follows from, shares a label with, or
    overlaps in time; else it opens one. An incident that nothing speaks for any more is resolved. A signal whose
    incident a person resolved stays with it as long as it lasts.

    Args:
        signals: everything that speaks, and what ended and why; what is not named has ended, too.
        known: of the same deployments.
        now: on the clock.
        make_id: for new incidents.
    """
    return _Reconciling(known, now, make_id).run(signals)


class _Reconciling:
    def __init__(self, known: Known, now: datetime, make_id: Callable[[], str]) -> None:
        self._now = now
        self._make_id = make_id
        self._before = known
        self._signals = {signal.key: signal for signal in known.signals}
        self._incidents = {incident.id: incident for incident in known.incidents}

    def run(self, signals: Sequence[Signal]) -> Changes:
        speaking = {signal.key: signal for signal in signals if not signal.ended}
        reasons = {signal.key: signal.ended for signal in signals if signal.ended}
        for signal in sorted(speaking.values(), key=lambda each: (each.since, each.until, each.key)):
            held = self._signals.get(signal.key)
            home = held.incident if held else self._find_home(signal) or self._open(signal)
            self._signals[signal.key] = _as_seen(signal, home, held.seen_at if held else self._now)
        for key in self._signals.keys() - speaking.keys():
            told = reasons.get(key, "it is not seen any more")
            self._signals[key] = replace(self._signals[key], ended_at=self._now, ended=told)
        for incident in list(self._incidents.values()):
            self._incidents[incident.id] = self._sum_up(incident)
        return self._compare()

    def _find_home(self, signal: Signal) -> IncidentId | None:
        for incident in sorted(self._incidents.values(), key=lambda each: (each.opened_at, each.id)):
            own = [held for held in self._signals.values() if held.incident == incident.id]
            is_same = incident.deployment == signal.deployment
            if is_same and any(_belong_together(signal, held) for held in own):
                return incident.id
        return None

    def _open(self, signal: Signal) -> IncidentId:
        name = IncidentId(self._make_id())
        self._incidents[name] = Incident(
            id=name,
            deployment=signal.deployment,
            severity=signal.severity,
            kinds=(signal.kind,),
            labels=signal.labels,
            summary=signal.summary,
            since=signal.since,
            until=signal.until,
            opened_at=self._now,
        )
        return name

    def _sum_up(self, incident: Incident) -> Incident:
        own = sorted(
            (held for held in self._signals.values() if held.incident == incident.id),
            key=lambda held: (held.seen_at, held.since, held.key),
        )
        live = [held for held in own if held.ended_at is None]
        if not live:
            told = "; ".join(dict.fromkeys(held.ended for held in own)) or "nothing speaks for it any more"
            return replace(incident, status="resolved", resolved_at=self._now, resolved_by=BY_ITSELF, resolution=told)
        worst = next((held for held in live if held.severity == "page"), live[0])
        return replace(
            incident,
            severity=worst.severity,
            kinds=tuple(dict.fromkeys((*incident.kinds, *(held.kind for held in own)))),
            labels=tuple(sorted({*incident.labels, *(label for held in own for label in held.labels)})),
            summary=worst.summary,
            since=min(incident.since, *(held.since for held in own)),
            until=max(incident.until, *(held.until for held in own)),
        )

    def _compare(self) -> Changes:
        incidents = {incident.id: incident for incident in self._before.incidents}
        signals = {signal.key: signal for signal in self._before.signals}
        return Changes(
            [each for each in self._incidents.values() if incidents.get(each.id) != each],
            [each for each in self._signals.values() if signals.get(each.key) != each],
        )


def _as_seen(signal: Signal, incident: IncidentId, seen_at: datetime) -> IncidentSignal:
    return IncidentSignal(
        key=signal.key,
        incident=incident,
        kind=signal.kind,
        severity=signal.severity,
        labels=tuple(signal.labels),
        since=signal.since,
        until=signal.until,
        summary=signal.summary,
        evidence=signal.evidence,
        seen_at=seen_at,
    )


def _belong_together(signal: Signal, held: IncidentSignal) -> bool:
    if signal.follows == held.key or not set(signal.labels).isdisjoint(held.labels):
        return True
    return signal.since < held.until and held.since < signal.until
