"""`penstock episodes`: what set the loop off, and all that was done about it."""

import typer

from penstock.cli.output import JsonOption, console, print_json, print_table
from penstock.cli.session import UrlOption, open_project, open_services

app = typer.Typer(no_args_is_help=True, help="What set the loop off, and all that was done about it.")


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
    rows = [(e.number, e.id, e.as_of, e.trigger, e.state, e.summary or e.reason) for e in episodes]
    print_table(
        [">#", "episode", "event time", "trigger", "state", "what happened"],
        rows,
        empty="No episode yet; 'penstock run' starts the first.",
    )


@app.command()
def show(episode: str, json: bool = JsonOption, url: str = UrlOption) -> None:
    """One episode, decision by decision."""
    with open_services(url) as services:
        story = services.loop.get_episode(episode)
    if json:
        print_json(story)
        return
    found = story.episode
    console.print(f"[bold]Episode {found.number}[/bold] of {found.project} ({found.trigger}): {found.state}")
    console.print(f"{found.reason}\n")
    for decision in story.decisions:
        console.print(f"  {decision.number}. [bold]{decision.action}[/bold] {decision.at:%Y-%m-%d %H:%M:%S}")
        console.print(f"     {decision.reason}")


@app.command()
def cancel(
    episode: str,
    reason: str = typer.Option("", help="Why, for the audit log."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """End an open episode; a rollout that runs in it is aborted."""
    with open_services(url) as services:
        found = services.loop.cancel_episode(episode, reason)
    if json:
        print_json(found)
    else:
        console.print(f"episode {found.number} is cancelled")
