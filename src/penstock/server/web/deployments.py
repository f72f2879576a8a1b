"""The pages of deployments: what answers now, who gets how much of the traffic, and how each release went."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from penstock.server.web.charts import line_chart
from penstock.server.web.context import PageContext
from penstock.server.web.watching import drift_grid, performance_marks, performance_series, traffic_series
from penstock.serving.types import Rollout

WINDOWS_SHOWN = 60
ROLLOUT_TONES = {"promoted": "good", "aborted": "bad", "running": "accent"}


def list_deployments(context: PageContext, request: Request) -> Response:
    """Every deployment with its traffic."""
    services = context.services
    rows = [(found, services.predictions.get_traffic(found.name)) for found in services.serving.list_deployments()]
    return context.renderer.page(
        request, "deployments.html", title="Deployments", rows=rows, gateways=services.serving.list_gateways()
    )


def show_deployment(context: PageContext, request: Request) -> Response:
    """One deployment: revisions and their traffic, drift and performance by window, rollouts."""
    services, name = context.services, request.path_params["deployment"]
    deployment = services.serving.get_deployment(name)
    windows = services.monitoring.list_windows(name, limit=WINDOWS_SHOWN)
    rollouts = services.serving.list_rollouts(name, limit=20)
    marks = performance_marks(rollouts, windows)
    return context.renderer.page(
        request,
        "deployment.html",
        title=name,
        deployment=deployment,
        traffic=services.predictions.get_traffic(name),
        revisions=sorted(services.serving.list_revisions(name), key=lambda r: -r.number),
        rollouts=rollouts,
        alerts=services.monitoring.list_alerts(name, limit=20),
        windows=windows,
        performance=line_chart(performance_series(windows), title=f"Performance of {name}", marks=marks),
        volume=line_chart(traffic_series(windows), title=f"Predictions of {name} by window"),
        drift=drift_grid(windows),
        rollout_tone=rollout_tone,
        window_length=_length(windows),
    )


def rollout_tone(rollout: Rollout) -> str:
    """The colour of a rollout's state."""
    return ROLLOUT_TONES[rollout.state]


def _length(windows: list) -> timedelta | None:  # type: ignore[type-arg]
    return windows[-1].end - windows[-1].start if windows else None
