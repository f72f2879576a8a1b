"""Alarms spent against the budget: what each watch may spend in a period, what its tests have used, what it raised.

A test at level a uses a of the budget, and a detector with run length A uses m / A for m rows: so many false alarms are
to be expected of them where nothing is wrong. What was raised beyond that is news rather than chance.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from penstock.core.project.types import Project
from penstock.monitoring.budget import list_watches, share_budget
from penstock.monitoring.types import Alert, AlertKind, Window

_KINDS: dict[str, AlertKind] = {
    "inputs": "drift",
    "loss": "performance",
    "bar": "performance",
    "estimate": "estimate",
    "calibration": "calibration",
    "gap": "fairness",
    "latency": "latency",
    "errors": "errors",
}


class WatchSpending(Struct, frozen=True, kw_only=True):
    """One watch over a period.

    Attributes:
        watch: its name (`budget.list_watches`).
        allowed: false alarms it may raise in the period.
        used: false alarms that are to be expected of all tests it made in the period, if nothing ever changed.
        raised: alerts it opened in the period; those of `loss` and `bar` are of one kind, and each goes to one of them.
    """

    watch: str
    allowed: float
    used: float
    raised: int


class Spending(Struct, frozen=True, kw_only=True):
    """The false-alarm budget of a deployment and what became of it."""

    deployment: str
    start: datetime | None = None  # event time; None before the first window
    end: datetime | None = None
    windows: int = 0
    allowed: float  # of all watches together
    watches: list[WatchSpending]

    @property
    def used(self) -> float:
        """What all watches have used."""
        return sum(watch.used for watch in self.watches)

    @property
    def raised(self) -> int:
        """Alerts of all watches."""
        return sum(watch.raised for watch in self.watches)


def read_spending(project: Project, windows: Sequence[Window], alerts: Sequence[Alert]) -> Spending:
    """The period that the budget is about, up to the newest window.

    Args:
        project: whose budget it is.
        windows: of its deployment, oldest first.
        alerts: of its deployment, of any status.
    """
    share, budget = share_budget(project), project.monitor.false_alarms
    end = windows[-1].end if windows else None
    start = None if end is None else max(end - budget.per, windows[0].start)
    recent = [window for window in windows if start is not None and window.start >= start]
    opened = [alert for alert in alerts if start is not None and alert.window_start >= start]
    watches = [
        WatchSpending(
            watch=name,
            allowed=share.alarms,
            used=sum(_used(name, window, share.rate) for window in recent),
            raised=sum(_is_of(alert, name) for alert in opened),
        )
        for name in list_watches(project)
    ]
    return Spending(
        deployment=project.name, start=start, end=end, windows=len(recent), allowed=budget.count, watches=watches
    )


def _used(watch: str, window: Window, rate: float) -> float:
    if watch == "inputs":
        return window.level or 0.0
    if watch == "estimate":
        return (window.estimate.level or 0.0) if window.estimate else 0.0
    if watch == "bar":
        return rate if window.performance is not None else 0.0
    held = [window.loss, *window.watches]
    own = [evidence for evidence in held if evidence is not None and evidence.watch.partition(":")[0] == watch]
    return sum(evidence.groups / evidence.run_length for evidence in own if evidence.run_length is not None)


def _is_of(alert: Alert, watch: str) -> bool:
    if alert.kind != _KINDS[watch]:
        return False
    return alert.kind != "performance" or (watch == "bar") == bool(alert.evidence.get("below_bar"))
