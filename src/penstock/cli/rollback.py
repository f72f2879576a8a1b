"""`penstock rollback`: back to the revision before."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services, wait_for_gateways

app = command_app()


@app.command()
def rollback(
    deployment: str = typer.Argument("", help="The deployment. [default: the project's own]"),
    reason: str = typer.Option("", help="Why, for the audit log."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Abort the rollout that runs, or else bring back the revision before the live one; it takes effect at once."""
    name = deployment or open_project().name
    with open_services(url) as services:
        held = services.serving.roll_back(name, reason)
        wait_for_gateways(services)
    if json:
        print_json(held)
    elif held.stable is not None:
        console.print(f"{name} is answered by version {held.stable.version} again (revision {held.stable.number})")
