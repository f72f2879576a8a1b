"""`penstock data status`: what changed since it was added."""

from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.folder import open_bar, open_workspace
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.datasets.workspace.workspace import PathStatus, path_in

app = command_app()
SHOWN = 20  # changes of a path; --json has all


@app.command()
def status(
    paths: list[str] = typer.Argument(None, help="Files or folders that were added. [default: all of them]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Compare files and folders with the versions in penstock.data; exit code 1 when something changed."""
    with open_workspace(url) as workspace:
        names = [path_in(workspace.root, Path(path)) for path in paths or []] or list(workspace.pointers())
        found = []
        for name in names:
            with open_bar(name, is_quiet=json) as progress:
                found.append(workspace.status(name, progress=progress))
    if json:
        typer.echo(codec.encode_text(found))
    elif not found:
        typer.echo("Nothing was added yet; 'penstock data add PATH' does that.")
    else:
        for each in found:
            _print(each)
    raise typer.Exit(0 if all(each.state == "unchanged" for each in found) else 1)


def _print(found: PathStatus) -> None:
    typer.echo(f"{found.path}: {found.state}")
    for change in found.changes[:SHOWN]:
        typer.echo(f"  {change.change:<9} {change.path or found.path}")
    if len(found.changes) > SHOWN:
        typer.echo(f"  and {len(found.changes) - SHOWN:,} more")
