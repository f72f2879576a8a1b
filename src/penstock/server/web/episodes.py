"""The pages of episodes: all of them in a table, and one told as a story."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.loop.types import Decision, Episode
from penstock.server.web.context import PageContext

STATE_TONES = {"promoted": "good", "refused": "warn", "failed": "bad"}
ACTION_TONES = {
    "promote": "good",
    "pass": "good",
    "advance": "good",
    "refuse": "warn",
    "abort": "bad",
    "fail": "bad",
    "cancel": "warn",
}
TITLES = {
    "open": "It began",
    "train": "A new model is trained",
    "register": "The candidate is registered",
    "pass": "The gates are passed",
    "refuse": "The candidate is refused",
    "deploy": "The candidate takes its first traffic",
    "advance": "It takes more traffic",
    "abort": "The rollout is aborted",
    "promote": "The candidate is the new champion",
    "fail": "The episode failed",
    "cancel": "Somebody cancelled it",
}


def state_tone(episode: Episode) -> str:
    """The colour of an episode's state."""
    return STATE_TONES.get(episode.state, "accent")


def decision_title(decision: Decision) -> str:
    """A decision's heading as people say it."""
    return TITLES.get(decision.action, decision.action.capitalize())


def decision_tone(decision: Decision) -> str:
    """The colour of a decision."""
    return ACTION_TONES.get(decision.action, "")


def list_episodes(context: PageContext, request: Request) -> Response:
    """Every episode, the newest first."""
    name = context.project.name if context.project else ""
    episodes = context.services.loop.list_episodes(name, limit=200)
    return context.renderer.page(request, "episodes.html", title="Episodes", episodes=episodes, tone=state_tone)


def show_episode(context: PageContext, request: Request) -> Response:
    """One episode as a story: what was seen, what was tried, what was decided and why."""
    story = context.services.loop.get_episode(request.path_params["episode"])
    alert = context.services.monitoring.get_alert(story.episode.alert_id) if story.episode.alert_id else None
    return context.renderer.page(
        request,
        "episode.html",
        title=f"Episode {story.episode.number}",
        episode=story.episode,
        decisions=story.decisions,
        alert=alert,
        tone=state_tone,
        decision_title=decision_title,
        decision_tone=decision_tone,
    )
