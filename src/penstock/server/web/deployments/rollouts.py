"""The page of one rollout: how far it came, what is known of each measure, and each decision with its reason."""

from markupsafe import Markup
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.ids import RolloutId
from penstock.predictions.types import RevisionCounts
from penstock.server.web.context import PageContext
from penstock.server.web.drawings.sequences import draw_measures, read_judged
from penstock.server.web.drawings.strips import share_meter
from penstock.server.web.words.evidence import Evidence, read_evidence
from penstock.server.web.words.formats import format_share
from penstock.serving.types import Deployment, Revision, Rollout, RolloutEvent

ROLLOUT_TONES = {"promoted": "good", "aborted": "bad", "running": "accent"}
EVENT_TONES = {"promote": "good", "advance": "good", "abort": "bad"}
EVENT_TITLES = {
    "start": "It takes its first traffic",
    "advance": "It takes more",
    "promote": "It takes over",
    "abort": "It is aborted",
}
STRATEGIES = {"direct": "direct release", "shadow": "shadow", "canary": "canary", "ab": "A/B test"}


class Side(Struct, frozen=True):
    """One revision of a running rollout, and what it did since the rollout began."""

    role: str
    revision: Revision
    counts: RevisionCounts
    share: float


class Chapter(Struct, frozen=True):
    """A step of a rollout as it is told."""

    event: RolloutEvent
    title: str
    tone: str
    evidence: Evidence


def show_rollout(context: PageContext, request: Request) -> Response:
    """One rollout, running or ended."""
    serving = context.services.serving
    rollout = serving.get_rollout(RolloutId(request.path_params["rollout"]))
    deployment = serving.get_deployment(rollout.deployment)
    revisions = {held.number: held for held in serving.list_revisions(rollout.deployment)}
    is_running = rollout.state == "running"
    return context.renderer.page(
        request,
        "rollout.html",
        title=f"Rollout of revision {rollout.revision}",
        section="/deployments",
        deployment=deployment,
        rollout=rollout,
        revision=revisions[rollout.revision],
        baseline=revisions.get(rollout.baseline or 0),
        strategy=name_strategy(rollout),
        tone=rollout_tone(rollout),
        is_running=is_running,
        sides=read_sides(context, deployment, rollout) if is_running else [],
        meter=draw_share(deployment),
        waiting_for=list_waiting(context, rollout) if is_running else [],
        measures=draw_measures(read_judged(rollout, serving.list_measures(rollout.id))),
        chapters=[_tell(event, rollout) for event in rollout.events],
    )


def rollout_tone(rollout: Rollout) -> str:
    """The colour of a rollout's state."""
    return ROLLOUT_TONES[rollout.state]


def name_strategy(rollout: Rollout) -> str:
    """The strategy as people say it."""
    return STRATEGIES.get(rollout.strategy, rollout.strategy)


def draw_share(deployment: Deployment) -> Markup:
    """How the traffic is split now."""
    return share_meter(deployment.share, f"{format_share(deployment.share)} of the traffic to the candidate")


def read_sides(context: PageContext, deployment: Deployment, running: Rollout) -> list[Side]:
    """Candidate and stable revision with what they did since a running rollout began."""
    traffic = context.services.predictions.get_traffic(deployment.name, received_since=running.started_at)
    counts = {held.revision: held for held in traffic.revisions}
    if deployment.share == 0:  # the candidate is in the shadow
        counts |= {held.revision: held for held in traffic.shadows}
    both = (("candidate", deployment.candidate, deployment.share), ("stable", deployment.stable, 1 - deployment.share))
    return [
        Side(role, revision, counts.get(revision.number, RevisionCounts(revision=revision.number)), share)
        for role, revision, share in both
        if revision is not None
    ]


def list_waiting(context: PageContext, rollout: Rollout) -> list[str]:
    """What a running rollout waits for, each thing by itself."""
    told = context.services.loop.get_state(rollout.deployment).waiting_for
    place, _, reasons = told.partition(": ")
    return (reasons if place.startswith("rollout ") else told).split("; ") if told else []


def _tell(event: RolloutEvent, rollout: Rollout) -> Chapter:
    title = EVENT_TITLES.get(event.action, event.action)
    if event.action == "start" and event.share == 0:
        title = "It gets copies of requests, and nobody hears its answers"
    evidence = read_evidence(event.evidence, rollout.deployment)
    return Chapter(event, title, EVENT_TONES.get(event.action, ""), evidence)
