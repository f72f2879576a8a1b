"""The pages of deployments: what answers now, who gets how much of the traffic, and how each release went."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.monitoring.types import Window
from penstock.predictions.types import RevisionCounts
from penstock.server.web.context import PageContext
from penstock.server.web.evidence import Evidence, read_evidence
from penstock.server.web.plot import HALF
from penstock.server.web.strips import share_meter
from penstock.server.web.watching import WINDOWS_SHOWN, draw_drift, draw_performance, draw_traffic
from penstock.serving.types import Deployment, Revision, Rollout, RolloutEvent

ROLLOUT_TONES = {"promoted": "good", "aborted": "bad", "running": "accent"}
EVENT_TONES = {"promote": "good", "advance": "good", "abort": "bad"}
EVENT_TITLES = {"start": "It takes its first traffic", "advance": "It takes more", "promote": "It takes over"}


class Side(Struct, frozen=True):
    """One revision of a running rollout, and what it did since the rollout began."""

    role: str
    revision: Revision
    counts: RevisionCounts


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
    alerts = services.monitoring.list_alerts(name, limit=20)
    rollouts = services.serving.list_rollouts(name, limit=20)
    running = next((rollout for rollout in rollouts if rollout.id == deployment.rollout), None)
    return context.renderer.page(
        request,
        "deployment.html",
        title=name,
        deployment=deployment,
        traffic=services.predictions.get_traffic(name),
        revisions=sorted(services.serving.list_revisions(name), key=lambda r: -r.number),
        running=running,
        sides=_sides(context, deployment, running) if running else [],
        meter=share_meter(deployment.share, f"{deployment.share:.0%} to the candidate"),
        waiting_for=services.loop.get_state(name).waiting_for,
        rollouts=rollouts,
        alerts=alerts,
        windows=windows,
        performance=draw_performance(windows, alerts, context.project, area=HALF),
        volume=draw_traffic(windows),
        drift=draw_drift(windows),
        rollout_tone=rollout_tone,
        event_tone=event_tone,
        event_title=event_title,
        evidence_of=lambda event: _evidence(event, name),
        window_length=_length(windows),
    )


def rollout_tone(rollout: Rollout) -> str:
    """The colour of a rollout's state."""
    return ROLLOUT_TONES[rollout.state]


def event_tone(event: RolloutEvent) -> str:
    """The colour of a step of a rollout."""
    return EVENT_TONES.get(event.action, "")


def event_title(event: RolloutEvent) -> str:
    """A step of a rollout as people say it."""
    return EVENT_TITLES.get(event.action, "It is aborted")


def _evidence(event: RolloutEvent, deployment: str) -> Evidence:
    return read_evidence(event.evidence, deployment)


def _sides(context: PageContext, deployment: Deployment, running: Rollout) -> list[Side]:
    traffic = context.services.predictions.get_traffic(deployment.name, received_since=running.started_at)
    counts = {held.revision: held for held in traffic.revisions}
    return [
        Side(role, revision, counts.get(revision.number, RevisionCounts(revision=revision.number)))
        for role, revision in (("candidate", deployment.candidate), ("stable", deployment.stable))
        if revision is not None
    ]


def _length(windows: Sequence[Window]) -> timedelta | None:
    return windows[-1].end - windows[-1].start if windows else None
