"""`penstock models history`: what happened to a model."""

from datetime import datetime

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_project, open_services
from penstock.registry.types import ChangeKind, ModelChange

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"]

app = command_app()


@app.command()
def history(
    model: str = typer.Argument("", help="The model. [default: the project's own]"),
    alias: str = typer.Option("", help="Only this alias."),
    at: datetime | None = typer.Option(
        None,
        help="Where the aliases pointed at this moment, in UTC, and what led there.",
        formats=TIMES,
        metavar="TIME",
    ),
    limit: int = typer.Option(100, help="The newest so many changes."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Who moved an alias, when, from where to where and on what evidence; with renames, stages and deletions."""
    name = model or open_project().name
    with open_services(url) as services:
        changes = services.registry.history(name, alias, at, limit)
        held = [] if at is None else services.registry.aliases_at(name, at, alias)
    if json:
        print_json({"model": name, "at": at, "aliases": None if at is None else held, "changes": changes})
        return
    if at is not None:
        rows = [(move.alias, move.after, move.at, move.actor) for move in held]
        print_table(["alias", ">version", "since (UTC)", "moved by"], rows, empty=f"No alias pointed anywhere at {at}.")
        console.print()
    shown = [(c.at, c.actor, _tell(c), c.reason, ", ".join(c.evidence)) for c in changes]
    print_table(["at (UTC)", "by", "change", "reason", "evidence"], shown, empty="Nothing has changed yet.")


def _tell(change: ModelChange) -> str:
    """A change in words."""
    match change.kind:
        case ChangeKind.ALIAS:
            return f"{change.alias}: {change.before or 'none'} -> {change.after or 'removed'}"
        case ChangeKind.NAME:
            return f"renamed: {change.before} -> {change.after}"
        case ChangeKind.DELETED:
            return "model deleted" if change.version is None else f"version {change.version} deleted"
    return f"version {change.version} {change.kind}: {change.before} -> {change.after}"
