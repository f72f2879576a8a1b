"""The budget of false alarms: what each watch may spend, what it has spent, and the alarms there were.

A test at level a raises a false alarms on average where nothing is wrong, so the levels of the windows of a period add
up to what was spent of the budget for that period.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup
from msgspec import Struct, structs

from penstock.core.project.types import MonitorSection
from penstock.monitoring.budget import share_budget
from penstock.monitoring.types import Alert, Window
from penstock.server.web.drawings import plot
from penstock.server.web.drawings.alarms import Alarm, Lane, alarm_line
from penstock.server.web.drawings.plot import MAP, on_either
from penstock.server.web.drawings.strips import bar_strip
from penstock.server.web.words.windows import window_page

NARROW = structs.replace(plot.NARROW, left=92)
INPUTS, LOSS, BAR = "Inputs", "Loss of the model", "The project's bar"


class WatchSpending(Struct, frozen=True, kw_only=True):
    """What one watch may spend in the period up to now, and what it has."""

    name: str
    allowed: float  # false alarms in a period
    spent: float  # expected number of false alarms of the tests that were made
    tests: int
    alarms: int  # alerts that were raised in the period, right or wrong
    meter: Markup


class Spending(Struct, frozen=True, kw_only=True):
    """The budget of a deployment over its newest period."""

    count: float  # false alarms...
    period: timedelta  # ... in so long
    since: datetime
    until: datetime
    watches: list[WatchSpending]
    drawing: Markup  # alarms on a line of time

    @property
    def spent(self) -> float:
        """Of all watches together."""
        return sum(watch.spent for watch in self.watches)

    @property
    def alarms(self) -> int:
        """Of all watches together."""
        return sum(watch.alarms for watch in self.watches)


def read_spending(monitor: MonitorSection, windows: Sequence[Window], alerts: Sequence[Alert]) -> Spending | None:
    """What was spent in the newest period; None before there is a window.

    Args:
        monitor: the budget.
        windows: oldest first; those of the period are counted.
        alerts: of the deployment.
    """
    if not windows:
        return None
    until, period = windows[-1].end, monitor.false_alarms.per
    since = until - period
    recent = [window for window in windows if window.start >= since]
    raised = [alert for alert in alerts if since <= alert.window_start]
    rate, allowed = share_budget(monitor).rate, share_budget(monitor).alarms
    compared = [window.level for window in recent if window.number and window.level]
    judged = [window for window in recent if window.loss is not None and window.loss.tolerated is not None]
    held = [window for window in recent if window.performance is not None and window.performance.low is not None]
    parts = [(INPUTS, sum(compared), len(compared), [one for one in raised if one.kind == "drift"])]
    if monitor.performance is not None:
        of_bar = [one for one in raised if one.kind != "drift" and one.evidence.get("below_bar")]
        of_loss = [one for one in raised if one.kind != "drift" and one not in of_bar]
        parts.append((LOSS, rate * len(judged), len(judged), of_loss))
        if monitor.performance.at_least is not None or monitor.performance.at_most is not None:
            parts.append((BAR, rate * len(held), len(held), of_bar))
        else:
            parts[-1][3].extend(of_bar)
    watches = [
        WatchSpending(
            name=name,
            allowed=allowed,
            spent=spent,
            tests=tests,
            alarms=len(found),
            meter=bar_strip(min(spent / allowed, 1.0) if allowed else 0.0),
        )
        for name, spent, tests, found in parts
    ]
    return Spending(
        count=monitor.false_alarms.count,
        period=period,
        since=since,
        until=until,
        watches=watches,
        drawing=_draw(windows, alerts, since),
    )


def _draw(windows: Sequence[Window], alerts: Sequence[Alert], since: datetime) -> Markup:
    kinds = dict.fromkeys(["drift", *sorted(str(alert.kind) for alert in alerts)])
    lanes = [Lane(kind, [_alarm(alert) for alert in alerts if str(alert.kind) == kind]) for kind in kinds]
    span = (windows[0].start, windows[-1].end)
    wide, narrow = (alarm_line(lanes, span, since, title="Alarms over event time", area=area) for area in (MAP, NARROW))
    return on_either(wide, narrow)


def _alarm(alert: Alert) -> Alarm:
    end = alert.resolved_as_of if alert.status == "resolved" else None
    became = alert.resolution if alert.status == "resolved" else "still open"
    link = window_page(alert.deployment, alert.window_start)
    return Alarm(alert.window_start, end, f"{alert.summary}; {became}", link, alert.status == "open")
