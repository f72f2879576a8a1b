"""The budget of false alarms as it is shown: what each watch may spend, what it has, and the alarms there were."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup
from msgspec import Struct, structs

from penstock.core.project.types import Project
from penstock.monitoring.spending import Spending, read_spending
from penstock.monitoring.types import Alert, Window
from penstock.server.web.drawings import plot
from penstock.server.web.drawings.alarms import Alarm, Lane, alarm_line
from penstock.server.web.drawings.plot import MAP, on_either
from penstock.server.web.drawings.strips import bar_strip
from penstock.server.web.words.windows import window_page

NARROW = structs.replace(plot.NARROW, left=92)
WATCHES = {
    "inputs": "Inputs",
    "loss": "Loss of the model",
    "bar": "The project's bar",
    "estimate": "Estimated performance",
    "calibration": "Calibration",
    "gap": "Gaps between groups",
    "latency": "Latency",
    "errors": "Errors",
}


class DrawnSpending(Struct, frozen=True, kw_only=True):
    """The budget of a deployment over its newest period."""

    figures: Spending
    period: timedelta
    meters: dict[str, Markup]  # by watch: the part of its share that is spent
    drawing: Markup  # alarms on a line of time


def draw_spending(project: Project, windows: Sequence[Window], alerts: Sequence[Alert]) -> DrawnSpending | None:
    """What was spent in the newest period; None before there is a window.

    Args:
        project: whose budget it is.
        windows: oldest first; those of the period are counted.
        alerts: of the deployment.
    """
    figures = read_spending(project, windows, alerts)
    if figures.end is None:
        return None
    period = project.monitor.false_alarms.per
    meters = {
        held.watch: bar_strip(min(held.used / held.allowed, 1.0) if held.allowed else 0.0) for held in figures.watches
    }
    drawing = _draw(windows, alerts, figures.end - period)
    return DrawnSpending(figures=figures, period=period, meters=meters, drawing=drawing)


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
