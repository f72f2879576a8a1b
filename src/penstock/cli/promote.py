"""`penstock promote`: point an alias at a model version."""

import typer

from penstock.catalogue.services import Services
from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services

app = command_app()


@app.command()
def promote(
    version: int = typer.Argument(help="The model version."),
    alias: str = typer.Option("champion", help="The alias that moves."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    reason: str = typer.Option("", help="Why, for the audit log."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Point an alias at a version; traffic is moved by 'penstock deploy'."""
    name = model or open_project().name
    with open_services(url) as services:
        moved = services.registry.move_alias(name, alias, version, reason, _find_verdict(services, name, version))
    if json:
        print_json(moved)
    else:
        console.print(f"{alias} of {name} is version {version} now")


def _find_verdict(services: Services, model: str, version: int) -> tuple[str, ...]:
    """What the gates said about a version last, for the history of the alias."""
    report = services.registry.get_version(model, version).report_id
    verdicts = services.evaluation.list_verdicts(report) if report else []
    return tuple(str(verdict.ref) for verdict in verdicts[:1])
