"""`penstock models distrust`: let the code of a model run no more."""

import typer

from penstock.cli.apps import command_app
from penstock.cli.models.deciding import decide
from penstock.cli.models.target import TARGET
from penstock.cli.options import JsonOption, UrlOption

app = command_app()
TOLD = "{} is not loaded any more; where it answers now, roll back: penstock rollback"


@app.command()
def distrust(
    target: str = typer.Argument(help=TARGET),
    reason: str = typer.Option(..., help="Why its code may not run, for the record."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Withdraw the trust in the code of a model; it is not loaded any more."""
    decide(target, model, reason, url, TOLD, trusted=False, json=json)
