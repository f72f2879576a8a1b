"""The first page: the loop of a project at a glance."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.catalogue.lifecycle import read_lifecycle
from penstock.server.web.charts import line_chart
from penstock.server.web.context import PageContext
from penstock.server.web.episodes import state_tone
from penstock.server.web.watching import drift_grid, performance_marks, performance_series

WINDOWS_SHOWN = 60
EPISODES_SHOWN = 6


def show_loop(context: PageContext, request: Request) -> Response:
    """The seven stages with their evidence, the live deployment, drift and performance over time, newest episodes."""
    services, project = context.services, context.project
    if project is None:
        return context.renderer.page(request, "welcome.html", title="Server", models=services.registry.list_models())
    windows = services.monitoring.list_windows(project.name, limit=WINDOWS_SHOWN)
    rollouts = services.serving.list_rollouts(project.name, limit=50)
    live = next((d for d in services.serving.list_deployments() if d.name == project.name), None)
    wanted = project.monitor.performance
    return context.renderer.page(
        request,
        "loop.html",
        title="The loop",
        project=project,
        lifecycle=read_lifecycle(services, project),
        live=live,
        traffic=services.predictions.get_traffic(project.name),
        performance=line_chart(
            performance_series(windows),
            title=f"Measured performance of {project.name}",
            marks=performance_marks(rollouts, windows),
            bar=wanted.at_least if wanted else None,
        ),
        metric=wanted.metric if wanted else "",
        drift=drift_grid(windows),
        episodes=services.loop.list_episodes(project.name, limit=EPISODES_SHOWN),
        alerts=services.monitoring.list_alerts(project.name, status="open"),
        tone=state_tone,
    )
