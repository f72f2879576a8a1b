"""The page of all that is watched of a deployment: lamps, performance, outcomes, drift, fairness, the budget."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from penstock.monitoring.types import Alert, EstimatorState, Window
from penstock.server.web.context import PageContext
from penstock.server.web.monitoring.drift_map import COLUMNS_SHOWN, draw_drift
from penstock.server.web.monitoring.fairness import draw_fairness
from penstock.server.web.monitoring.incidents import severity_tone
from penstock.server.web.monitoring.lamps import show_lamps
from penstock.server.web.monitoring.performance import (
    draw_coverage,
    draw_failures,
    draw_latency,
    draw_performance,
    draw_traffic,
)
from penstock.server.web.monitoring.spending import WATCHES, draw_spending
from penstock.server.web.monitoring.watched import get_watched

WINDOWS_SHOWN = 60  # unless more are asked for
CHOICES = (30, 60, 180, 365, 1000)
ALL_COLUMNS = 500
LISTED = 60  # windows in the table
ALERTS = 200


def show_monitoring(context: PageContext, request: Request) -> Response:
    """What is watched of one deployment, window by window."""
    services, name = context.services, request.path_params["deployment"]
    watched = get_watched(context, name)
    most = _read_choice(request)
    windows = context.windows.read(services.monitoring, name, most)
    alerts = services.monitoring.list_alerts(name, limit=ALERTS)
    project = watched.project
    is_whole = request.query_params.get("columns") == "all"
    drift = draw_drift(windows, most=ALL_COLUMNS if is_whole else COLUMNS_SHOWN)
    return context.renderer.page(
        request,
        "monitoring.html",
        title=f"Monitoring of {name}",
        deployment=watched,
        windows=windows,
        listed=windows[-LISTED:],
        most=most,
        choices=_offer(windows, most),
        lamps=show_lamps(context, name),
        performance=draw_performance(windows, alerts, project),
        estimator=find_estimator(windows),
        young=[window for window in windows if not window.is_comparable],
        coverage=draw_coverage(windows),
        volume=draw_traffic(windows),
        latency=draw_latency(windows),
        failures=draw_failures(windows),
        fairness=draw_fairness(windows),
        drift=drift,
        is_whole=is_whole,
        watch_names=WATCHES,
        spending=draw_spending(project, windows, alerts) if project else None,
        alerts=alerts,
        window_length=windows[-1].end - windows[-1].start if windows else None,
        episodes=find_episodes(context, alerts),
        incidents=services.incidents.list_incidents(name, "unresolved"),
        severity_tone=severity_tone,
    )


def find_estimator(windows: Sequence[Window]) -> EstimatorState | None:
    """The estimator as the newest window left it; None where nothing is estimated."""
    newest = windows[-1].estimate if windows else None
    return None if newest is None else newest.state


def find_episodes(context: PageContext, alerts: Sequence[Alert]) -> dict[str, tuple[str, int]]:
    """By alert, the id and the number of the newest episode that acted on it."""
    episodes = context.services.loop.list_episodes(alerts[0].deployment, limit=ALERTS) if alerts else []
    return {held.alert_id: (held.id, held.number) for held in reversed(episodes) if held.alert_id}


def _read_choice(request: Request) -> int:
    text = request.query_params.get("windows", "")
    return next((choice for choice in CHOICES if str(choice) == text), WINDOWS_SHOWN)


def _offer(windows: Sequence[Window], most: int) -> list[int]:
    """How many windows a reader may choose to see: nothing is offered that shows no more."""
    count = len(windows)
    return [choice for choice in CHOICES if choice <= count or (choice > most and count == most) or choice == most]
