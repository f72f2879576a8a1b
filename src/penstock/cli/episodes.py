"""`penstock episodes`: what set the loop off, and all that was done about it."""

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import group_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.core.errors import NotFoundError

app = group_app("What set the loop off, and all that was done about it.")

EpisodeArgument = typer.Argument(help="Its number here, or its id.")


@app.command("list")
def list_episodes(
    limit: int = typer.Option(20, help="How many, the newest ones."), json: bool = JsonOption, url: str = UrlOption
) -> None:
    """The newest episodes."""
    project = "" if url else open_project().name
    with open_services(url) as services:
        episodes = services.loop.list_episodes(project, limit=limit)
    if json:
        print_json(episodes)
        return
    rows = [(e.number, e.as_of, e.trigger, e.state, e.summary or e.reason) for e in episodes]
    print_table(
        [">#", "event time (UTC)", "trigger", "state", "what happened"],
        rows,
        empty="No episode yet; 'penstock run' starts the first.",
    )


@app.command()
def show(episode: str = EpisodeArgument, json: bool = JsonOption, url: str = UrlOption) -> None:
    """One episode, decision by decision."""
    with open_services(url) as services:
        story = services.loop.get_episode(_find(services, episode, url))
    if json:
        print_json(story)
        return
    found = story.episode
    console.print(f"[bold]Episode {found.number}[/bold] of {found.project} ({found.trigger}): {found.state}")
    console.print(f"{escape(found.reason)}\n")
    for decision in story.decisions:
        console.print(f"  {decision.at:%Y-%m-%d %H:%M:%S} [bold]{decision.action:<9}[/bold] {escape(decision.reason)}")
    console.print(f"\n[dim]episode {found.id}, run {found.run_id or '-'}; times are UTC[/dim]")


@app.command()
def cancel(
    episode: str = EpisodeArgument,
    reason: str = typer.Option("", help="Why, for the audit log."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """End an open episode; a rollout that runs in it is aborted."""
    with open_services(url) as services:
        found = services.loop.cancel_episode(_find(services, episode, url), reason)
    if json:
        print_json(found)
    else:
        console.print(f"episode {found.number} is cancelled")


def _find(services: Services, episode: str, url: str) -> str:
    """The id of an episode that people call by its number."""
    if not episode.isdigit():
        return episode
    project = "" if url else open_project().name
    numbered = [found for found in services.loop.list_episodes(project, limit=1_000) if found.number == int(episode)]
    if not numbered:
        raise NotFoundError(f"there is no episode {episode}", hint="'penstock episodes list' shows those there are")
    return numbered[0].id
