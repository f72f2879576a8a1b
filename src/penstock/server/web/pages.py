"""Every page and its address."""

from starlette.routing import Route

from penstock.catalogue.services import Services
from penstock.core.identity import Role
from penstock.core.project.types import Project
from penstock.server.dispatch import Identify
from penstock.server.web import api_page, audit
from penstock.server.web.context import Form, PageContext, PageFunction, form, page
from penstock.server.web.data import changes, datasets, quality
from penstock.server.web.deployments import deployments, rollouts, trying
from penstock.server.web.loop import episodes, overview
from penstock.server.web.models import models
from penstock.server.web.monitoring import incidents, monitoring, window
from penstock.server.web.render import Renderer
from penstock.server.web.runs import artifacts, compare, experiments, run, table
from penstock.server.web.sources.asking import GatewayClient

PAGES: dict[str, PageFunction] = {
    "/": overview.show_loop,
    "/runs": table.list_runs,
    "/runs/compare": compare.compare_runs,
    "/runs/{run}": run.show_run,
    "/runs/{run}/artifacts/{path:path}": artifacts.show_artifact,
    "/runs/{run}/frame/{path:path}": artifacts.show_frame,
    "/experiments": experiments.list_experiments,
    "/experiments/{experiment}": experiments.open_experiment,
    "/experiments/{experiment}/runs/{run}": experiments.open_run,
    "/models": models.list_models,
    "/models/{model}": models.show_model,
    "/models/{model}/{version}": models.show_version,
    "/data": datasets.list_datasets,
    "/data/{dataset}/quality": quality.show_quality,
    "/data/{dataset}/diff": changes.show_changes,
    "/data/{dataset}/{version}": datasets.show_version,
    "/deployments": deployments.list_deployments,
    "/deployments/{deployment}": deployments.show_deployment,
    "/deployments/{deployment}/try": trying.show_try,
    "/deployments/{deployment}/monitoring": monitoring.show_monitoring,
    "/deployments/{deployment}/windows/{start}": window.show_window,
    "/deployments/{deployment}/windows/{start}/{column:path}": window.show_column,
    "/incidents": incidents.list_incidents,
    "/incidents/{incident}": incidents.show_incident,
    "/rollouts/{rollout}": rollouts.show_rollout,
    "/episodes": episodes.list_episodes,
    "/episodes/{episode}": episodes.show_episode,
    "/audit": audit.show_audit,
    "/lineage/{ref:path}": audit.show_lineage,
    "/api": api_page.show_api,
}


FORMS: dict[str, Form] = {
    "/deployments/{deployment}/try": Form(trying.try_row, Role.CONTRIBUTOR),
    "/incidents/{incident}/acknowledge": Form(incidents.acknowledge, Role.CONTRIBUTOR),
    "/incidents/{incident}/resolve": Form(incidents.resolve, Role.MAINTAINER),
}


def page_routes(
    services: Services, renderer: Renderer, identify: Identify, project: Project | None, gateway: GatewayClient
) -> list[Route]:
    """The routes of all pages."""
    context = PageContext(services, renderer, identify, project, gateway)
    shown = [page(context, path, function) for path, function in PAGES.items()]
    return shown + [form(context, path, held) for path, held in FORMS.items()]
