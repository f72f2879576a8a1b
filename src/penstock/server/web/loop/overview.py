"""The first page: the loop of a project at a glance."""

from datetime import datetime

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.catalogue.lifecycle import read_lifecycle
from penstock.core import codec
from penstock.core.ids import RunId
from penstock.core.project.types import Project
from penstock.loop.retraining.case import Rule
from penstock.loop.retraining.weighing import advise
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.strips import share_meter
from penstock.server.web.loop.episodes import state_tone
from penstock.server.web.monitoring.drift_map import draw_drift
from penstock.server.web.monitoring.lamps import show_lamps
from penstock.server.web.monitoring.monitoring import WINDOWS_SHOWN
from penstock.server.web.monitoring.performance import draw_performance
from penstock.server.web.words.evidence import Table, tell_probe
from penstock.server.web.words.statuses import status_tone

EPISODES_SHOWN = 6
COLUMNS_SHOWN = 10
FEW = 8  # of each kind, on the first page of a server without a project


def show_loop(context: PageContext, request: Request) -> Response:
    """The seven stages with their evidence, the live deployment, drift and performance over time, newest episodes."""
    services, project = context.services, context.project
    if project is None:
        return _welcome(context, request)
    windows = context.windows.read(services.monitoring, project.name, WINDOWS_SHOWN)
    alerts = services.monitoring.list_alerts(project.name)
    live = next((d for d in services.serving.list_deployments() if d.name == project.name), None)
    state = services.loop.get_state(project.name)
    return context.renderer.page(
        request,
        "loop.html",
        title="The loop",
        project=project,
        lifecycle=read_lifecycle(services, project),
        live=live,
        meter=share_meter(live.share, f"{live.share:.0%} to the candidate") if live and live.candidate else "",
        traffic=services.predictions.get_traffic(project.name),
        windows=windows,
        performance=draw_performance(windows, alerts, project),
        drift=draw_drift(windows, most=COLUMNS_SHOWN),
        lamps=show_lamps(context, project.name),
        asked=read_asked(context, project),
        episodes=services.loop.list_episodes(project.name, limit=EPISODES_SHOWN),
        open_episode=state.episode,
        alerts=[alert for alert in alerts if alert.status == "open"],
        tone=state_tone,
    )


class Asked(Struct, frozen=True):
    """What the newest probe found."""

    reason: str
    table: Table
    as_of: datetime
    run_id: RunId | None


def read_asked(context: PageContext, project: Project) -> Asked | None:
    """Whether a retrain would help, as far as probes have told; None before the first."""
    standing = context.services.loop.find_standing(project.name)
    if standing is None or standing.newest is None:
        return None
    probed, advice = standing.newest, advise(standing, Rule(cost=project.retrain.cost))
    return Asked(advice.reason, tell_probe(codec.to_builtins(probed)), probed.tried.until, probed.run_id)


def _welcome(context: PageContext, request: Request) -> Response:
    """What a server without a project begins with: its newest experiments, runs and models."""
    services = context.services
    return context.renderer.page(
        request,
        "welcome.html",
        title="Server",
        experiments=services.experiments.search_experiments(limit=FEW).experiments,
        runs=services.tracking.search_runs(limit=FEW).runs,
        models=services.registry.list_models(limit=FEW),
        address=str(request.base_url).rstrip("/"),
        tone=status_tone,
    )
