"""`penstock models trust`: let the code of a model run."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.models.target import TARGET, find_target
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json
from penstock.cli.session import open_nearby

app = command_app()


@app.command()
def trust(
    target: str = typer.Argument(help=TARGET),
    reason: str = typer.Option(..., help="Why its code may run, for the record."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Vouch for the code of a model: it may run, in a process without network and secrets."""
    with open_nearby(url, may_be_new=True) as services:
        found = find_target(services, target, model)
        decision = services.trust.trust(found.tree, reason)
    if json:
        print_json(decision)
        return
    typer.echo(f"the code of {found.name} may run now, in a process without network and secrets")
