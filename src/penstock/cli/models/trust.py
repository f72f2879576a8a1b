"""`penstock models trust`: let the code of a model run."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.models.deciding import decide
from penstock.cli.models.target import TARGET
from penstock.cli.options import JsonOption, UrlOption

app = command_app()
TOLD = "the code of {} may run now, in a process without network and secrets"


@app.command()
def trust(
    target: str = typer.Argument(help=TARGET),
    reason: str = typer.Option(..., help="Why its code may run, for the record."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Vouch for the code of a model: it may run, in a process without network and secrets."""
    decide(target, model, reason, url, TOLD, trusted=True, json=json)
