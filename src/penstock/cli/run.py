"""`penstock run`: data, pipeline, evaluation, gates, registry, rollout - now."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, wait_for_gateways
from penstock.cli.telling import telling
from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.project.places import project_config
from penstock.core.project.types import Project
from penstock.loop.types import Episode
from penstock.processes.here import run_here
from penstock.remote.discovery import find_server
from penstock.sdk.connect import connect, connect_home

app = command_app()
PAUSE_S = 0.3


@app.command()
def run(
    param: list[str] = typer.Option([], "--param", "-p", help="NAME=VALUE, over the project file's; may be repeated."),
    reason: str = typer.Option("", help="Why, for the audit log."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the episode that is open, as after a crash."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Take in the data, run the pipeline, evaluate, hold the gates, register and release; exit code 1 when refused."""
    project = open_project()
    config = project_config(Path(project.root))
    lives = bool(url) or find_server(config.home) is not None
    services = connect(url) if url else connect_home(config)
    with contextlib.ExitStack() as stack:
        stack.callback(services.close)
        step = _wait if lives else stack.enter_context(run_here(services, project, config))
        episode = _open(services, project, _parse_params(param), reason, resume=resume)
        if not json:
            console.print(f"[bold]episode {episode.number}[/bold] of {project.name}: {escape(episode.reason)}")
        try:
            with contextlib.nullcontext() if json else telling(services, episode.id):
                ended = _follow(services, episode, step)
        except KeyboardInterrupt:
            sys.stderr.write(f"\n{_say_way_on(episode, lives=lives)}")
            raise
        if lives:
            wait_for_gateways(services)
        told = ended.summary or services.loop.get_state(project.name).waiting_for
    if json:
        print_json(ended)
    else:
        tone = "green" if ended.state == "promoted" else "yellow"
        console.print(f"[bold {tone}]{ended.state}[/bold {tone}]: {escape(told)}")
        if hint := _say_what_next(ended):
            console.print(f"[dim]{hint}[/dim]")
    raise typer.Exit(0 if ended.state in ("promoted", "releasing") else 1)


def _open(services: Services, project: Project, params: dict[str, Any], reason: str, *, resume: bool) -> Episode:
    if resume:
        found = services.loop.list_episodes(project.name, limit=1)
        if not found or not found[0].is_open:
            raise InvalidInputError("no episode is open", hint="start one with 'penstock run'")
        return found[0]
    return services.loop.open_episode(project.name, reason, params)


def _follow(services: Services, episode: Episode, step: Callable[[], None]) -> Episode:
    """Go on until the episode ends or waits for traffic."""
    while True:
        step()
        state = services.loop.get_state(episode.project)  # before the episode, which may go on in between
        now = services.loop.get_episode(episode.id).episode
        if not now.is_open or state.settled:
            return now


def _say_way_on(episode: Episode, *, lives: bool) -> str:
    end = f"'penstock episodes cancel {episode.number}' ends it"
    if lives:
        return f"episode {episode.number} goes on in 'penstock up'; {end}"
    return f"'penstock run --resume' goes on with episode {episode.number}; {end}"


def _say_what_next(ended: Episode) -> str:
    match ended.state:
        case "releasing":
            return f"it goes on as traffic arrives; 'penstock episodes show {ended.number}' tells how far it is"
        case "refused" if ended.version is not None:
            return f"'penstock models show {ended.version}' has the numbers"
        case "failed" if ended.run_id is not None:
            return f"mend it and run again; 'penstock runs show {ended.run_id}' has the logs"
    return ""


def _wait() -> None:
    time.sleep(PAUSE_S)


def _parse_params(given: list[str]) -> dict[str, Any]:
    params = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"{text!r} is no param", hint="write --param NAME=VALUE")
        try:
            params[name] = codec.decode(value, object)
        except InvalidInputError:
            params[name] = value  # a bare word is a text
    return params
