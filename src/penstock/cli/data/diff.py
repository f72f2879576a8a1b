"""`penstock data diff`: two versions compared."""

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json, print_table
from penstock.cli.session import open_services
from penstock.datasets.diff import diff_versions

app = command_app()


@app.command()
def diff(
    dataset: str = typer.Argument(help="A dataset."),
    before: int = typer.Argument(help="A version."),
    after: int = typer.Argument(help="A later version."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """What changed between two versions: columns, rows by key, distributions."""
    with open_services(url) as services:
        first, second = (services.datasets.get_version(dataset, version) for version in (before, after))
        found = diff_versions(services.objects, first, second)
    if json:
        print_json(found)
        return
    console.print(f"[bold]{dataset}[/bold] version {before} to {after}: {first.rows:,} to {second.rows:,} rows")
    for change in found.schema:
        console.print(f"  column {escape(str(change))}")
    rows = found.rows
    by = f"by {rows.key}" if rows.key else "whole rows"
    console.print(f"  {by}: {rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed")
    for sample in rows.samples[:5]:
        console.print(f"      [dim]{escape(f'{sample.change}: {sample.values}')}[/dim]")
    moved = [(c.name, c.distance, c.before.mean, c.after.mean) for c in found.columns if c.distance > 0]
    print_table(["column", ">distance", ">mean before", ">mean after"], moved, empty="No column's values moved.")
