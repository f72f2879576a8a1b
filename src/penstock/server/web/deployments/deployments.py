"""The pages of deployments: what answers now, who gets how much of the traffic, and how each release went."""

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from penstock.monitoring.external.types import ExternalDeployment
from penstock.predictions.types import RevisionCounts
from penstock.server.web.context import PageContext
from penstock.server.web.deployments.rollouts import (
    draw_share,
    list_waiting,
    name_strategy,
    read_sides,
    rollout_tone,
)
from penstock.server.web.monitoring.lamps import show_lamps
from penstock.server.web.monitoring.monitoring import WINDOWS_SHOWN, find_episodes
from penstock.server.web.monitoring.performance import draw_performance
from penstock.server.web.monitoring.watched import find_external, get_watched
from penstock.server.web.sources.last_hour import HOUR, LastHour, draw_hour
from penstock.server.web.words.standing import Told, tell_standing
from penstock.serving.types import Deployment, Revision

REVISIONS_SHOWN = 50


class Answering(Struct, frozen=True):
    """A revision that gets traffic, with what it is and what it did in the last hour."""

    role: str
    revision: Revision
    share: float
    form: str
    standing: Told
    counts: RevisionCounts

    @property
    def rate(self) -> float:
        """Requests per second over the whole hour."""
        return self.counts.rows / HOUR.total_seconds()


def list_deployments(context: PageContext, request: Request) -> Response:
    """Every deployment with its traffic."""
    services = context.services
    rows = [
        (found, services.predictions.get_traffic(found.name), show_lamps(context, found.name))
        for found in services.serving.list_deployments()
    ]
    elsewhere = [
        (found, services.predictions.get_traffic(found.name), show_lamps(context, found.name), _newest(context, found))
        for found in services.external.list_deployments()
    ]
    return context.renderer.page(
        request,
        "deployments.html",
        title="Deployments",
        rows=rows,
        elsewhere=elsewhere,
        gateways=services.serving.list_gateways(),
    )


def _newest(context: PageContext, deployment: ExternalDeployment) -> int | None:
    """The newest version that answers elsewhere."""
    versions = context.services.external.list_versions(deployment.name)
    return versions[-1].version if versions else None


def show_deployment(context: PageContext, request: Request) -> Response:
    """One deployment: who gets the traffic, the last hour, revisions, rollouts, and what is watched by window."""
    services, name = context.services, request.path_params["deployment"]
    if find_external(context, name) is not None:  # all that is known of it is what is watched
        return RedirectResponse(f"/deployments/{quote(name, safe='')}/monitoring")
    deployment = services.serving.get_deployment(name)
    windows = context.windows.read(services.monitoring, name, WINDOWS_SHOWN)
    alerts = services.monitoring.list_alerts(name, limit=20)
    rollouts = services.serving.list_rollouts(name, limit=20)
    running = next((rollout for rollout in rollouts if rollout.id == deployment.rollout), None)
    hour = context.recent.read(services.predictions, name)
    answering = _list_answering(context, deployment, hour)
    revisions = sorted(services.serving.list_revisions(name), key=lambda r: -r.number)
    return context.renderer.page(
        request,
        "deployment.html",
        title=name,
        deployment=deployment,
        traffic=services.predictions.get_traffic(name),
        answering=answering,
        has_hour=bool(hour.minutes),
        hour=draw_hour(hour, _name_revisions(answering, hour)),
        others=[held for held in hour.revisions if held.revision not in {one.revision.number for one in answering}],
        revisions=revisions[:REVISIONS_SHOWN],
        older=len(revisions) - REVISIONS_SHOWN,
        running=running,
        sides=read_sides(context, deployment, running) if running else [],
        meter=draw_share(deployment),
        waiting_for=list_waiting(context, running) if running else [],
        rollouts=rollouts,
        alerts=alerts,
        lamps=show_lamps(context, name),
        episodes=find_episodes(context, alerts),
        performance=draw_performance(windows, alerts, get_watched(context, name).project),
        rollout_tone=rollout_tone,
        name_strategy=name_strategy,
    )


def _list_answering(context: PageContext, deployment: Deployment, hour: LastHour) -> list[Answering]:
    """The stable revision and the candidate, as far as there are any."""
    both = (("stable", deployment.stable, 1 - deployment.share), ("candidate", deployment.candidate, deployment.share))
    services = context.services
    return [
        Answering(
            role,
            revision,
            share,
            services.registry.get_version(revision.model, revision.version).describe_form(),
            tell_standing(services.trust.get_standing(revision.tree)),
            hour.find(revision.number),
        )
        for role, revision, share in both
        if revision is not None
    ]


def _name_revisions(answering: Sequence[Answering], hour: LastHour) -> dict[int, str]:
    """What the lines of a chart are called: those that answer now, and then those that did before."""
    names = {held.revision.number: f"version {held.revision.version}, {held.role}" for held in answering}
    return names | {held.revision: f"revision {held.revision}" for held in hour.revisions if held.revision not in names}
