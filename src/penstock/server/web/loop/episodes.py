"""The pages of episodes: all of them in a table, and one told as a story."""

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from penstock.loop.types import Decision, Episode
from penstock.server.web.context import PageContext
from penstock.server.web.loop.story import (
    compare_stretches,
    draw_release,
    find_run,
    read_seen,
    tell_acts,
    tell_short,
)

STATE_TONES = {"promoted": "good", "refused": "warn", "failed": "bad"}
PROBE, RECALL = ("probe", "Probe"), ("recall", "Recall")
TRAIN = (("train", "Train"), ("register", "Register"), ("pass", "Judge"))
RELEASE = (("deploy", "Release"), ("promote", "Promote"))
ENDINGS = {"decline": "Declined", "refuse": "Refused", "abort": "Aborted", "fail": "Failed", "cancel": "Cancelled"}


class Milestone(Struct, frozen=True):
    """A stage of an episode: behind it, at it, or still to come."""

    name: str
    state: str  # done, now, ended, ahead


def state_tone(episode: Episode) -> str:
    """The colour of an episode's state."""
    return STATE_TONES.get(episode.state, "accent")


def list_episodes(context: PageContext, request: Request) -> Response:
    """Every episode, the newest first."""
    name = context.project.name if context.project else ""
    episodes = context.services.loop.list_episodes(name, limit=200)
    return context.renderer.page(request, "episodes.html", title="Episodes", episodes=episodes, tone=state_tone)


def show_episode(context: PageContext, request: Request) -> Response:
    """One episode as a story: what was seen, what was tried, what was decided and why."""
    services = context.services
    story = services.loop.get_episode(request.path_params["episode"])
    episode = story.episode
    run = find_run(context, episode)
    return context.renderer.page(
        request,
        "episode.html",
        title=f"Episode {episode.number}",
        episode=episode,
        short=tell_short(episode, story.decisions, run),
        milestones=trace_milestones(episode, story.decisions),
        acts=tell_acts(story.decisions, episode.project),
        seen=read_seen(context, episode),
        run=run,
        steps=services.pipelines.list_steps(run.id) if run else [],
        measures=draw_release(context, episode),
        stretches=compare_stretches(context, episode),
        waiting_for=services.loop.get_state(episode.project).waiting_for if episode.is_open else "",
        tone=state_tone,
    )


def trace_milestones(episode: Episode, decisions: list[Decision]) -> list[Milestone]:
    """How far an episode came; where it ended early, its end takes the place of what was due."""
    done = {decision.action for decision in decisions}
    ending = next((ENDINGS[decision.action] for decision in decisions if decision.action in ENDINGS), "")
    trace: list[Milestone] = []
    for action, name in _list_stages(done):
        if action in done and episode.state != "probing":
            trace.append(Milestone(name, "done"))
        elif ending and not episode.is_open:
            return [*trace, Milestone(ending, "ended")]
        else:
            is_now = episode.is_open and not any(milestone.state == "now" for milestone in trace)
            trace.append(Milestone(name, "now" if is_now else "ahead"))
    return trace


def _list_stages(done: set[str]) -> list[tuple[str, str]]:
    """What an episode goes through, as far as can be told: a probe comes first where one was asked for."""
    made = [RECALL] if RECALL[0] in done else TRAIN
    return [*([PROBE] if PROBE[0] in done else []), *made, *RELEASE]
