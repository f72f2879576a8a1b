"""`penstock models distrust`: let the code of a model run no more."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.models.target import TARGET, find_target
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json
from penstock.cli.session import open_nearby

app = command_app()


@app.command()
def distrust(
    target: str = typer.Argument(help=TARGET),
    reason: str = typer.Option(..., help="Why its code may not run, for the record."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Withdraw the trust in the code of a model; it is not loaded any more."""
    with open_nearby(url, may_be_new=True) as services:
        found = find_target(services, target, model)
        decision = services.trust.distrust(found.tree, reason)
    if json:
        print_json(decision)
        return
    typer.echo(f"{found.name} is not loaded any more; where it answers now, roll back: penstock rollback")
