"""`penstock deploy`: release a model version."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services, wait_for_gateways
from penstock.serving.strategies import read_terms
from penstock.serving.types import Rollout

app = command_app()


@app.command()
def deploy(
    version: int = typer.Argument(help="The model version to release."),
    strategy: str = typer.Option(None, help="direct, shadow, canary or ab. [default: as penstock.toml says]"),
    share: float = typer.Option(None, help="Of the traffic, for ab. [default: as penstock.toml says, or 0.5]"),
    name: str = typer.Option("", help="The deployment. [default: the project's own]"),
    reason: str = typer.Option("", help="Why, for the audit log."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Release a version of this project's model: at once, or judged beside the stable revision before it takes over."""
    project = open_project()
    settings = project.deploy
    with open_services(url) as services:
        rollout = services.serving.deploy(
            name or project.name,
            project.name,
            version,
            strategy=strategy or settings.strategy,  # type: ignore[arg-type]  # checked by the verb
            **read_terms(settings) | ({} if share is None else {"share": share}),
            reason=reason,
        )
        wait_for_gateways(services)
    if json:
        print_json(rollout)
    else:
        console.print(f"version {version} {_describe(rollout)}")


def _describe(rollout: Rollout) -> str:
    name = rollout.deployment
    if rollout.state == "promoted":
        return f"takes all traffic of {name} (revision {rollout.revision})"
    if rollout.is_in_shadow:
        return f"gets a copy of each request to {name}, and nobody hears its answers yet"
    kind = "in an A/B test" if rollout.strategy == "ab" else "as a canary"
    return f"takes {rollout.share:.0%} of the traffic of {name} {kind}"
