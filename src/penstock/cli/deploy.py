"""`penstock deploy`: release a model version."""

from typing import get_args

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services, wait_for_gateways
from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Strategy

app = command_app()
STRATEGIES = get_args(Strategy)


@app.command()
def deploy(
    version: int = typer.Argument(help="The model version to release."),
    strategy: str = typer.Option(None, help="direct or canary. [default: as penstock.toml says]"),
    name: str = typer.Option("", help="The deployment. [default: the project's own]"),
    reason: str = typer.Option("", help="Why, for the audit log."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Release a version of this project's model, at once or as a canary that is judged while it takes traffic."""
    if strategy and strategy not in STRATEGIES:
        raise InvalidInputError(f"there is no strategy {strategy!r}", hint=nearest_hint(strategy, STRATEGIES))
    project = open_project()
    settings = project.deploy
    with open_services(url) as services:
        rollout = services.serving.deploy(
            name or project.name,
            project.name,
            version,
            strategy=strategy or settings.strategy,  # type: ignore[arg-type]  # checked by the verb
            steps=settings.steps,
            guard=settings.guard,
            min_requests=settings.min_requests,
            key=settings.key,
            reason=reason,
        )
        wait_for_gateways(services)
    if json:
        print_json(rollout)
    elif rollout.state == "promoted":
        console.print(f"version {version} takes all traffic of {rollout.deployment} (revision {rollout.revision})")
    else:
        console.print(f"version {version} takes {rollout.share:.0%} of the traffic of {rollout.deployment} as a canary")
