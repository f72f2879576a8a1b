"""`penstock data checkout`: files and folders as a version has them."""

import importlib
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.folder import open_workspace
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.datasets.workspace.git import prepare_git
from penstock.datasets.workspace.workspace import path_in

app = command_app()


@app.command()
def checkout(
    paths: list[Path] = typer.Argument(None, help="Files or folders that were added. [default: all of them]"),
    version: int = typer.Option(0, help="Of one path: go back to this version. [default: the one in penstock.data]"),
    force: bool = typer.Option(False, "--force", help="Give up changes that were never added."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Write files and folders as penstock.data says, in place of what is there; what was never added is not lost."""
    workspace = open_workspace()
    names = [path_in(workspace.root, path) for path in paths or []] or list(workspace.pointers())
    if version and len(names) != 1:
        raise InvalidInputError("--version is for one path", hint="name the one that goes back")
    tree = None
    if version:
        recording = importlib.import_module("penstock.cli.data.recording")  # which opens a database
        tree = recording.find_tree(workspace.get_pointer(names[0]).dataset, version, url)
    done = []
    for name in names:
        changed = workspace.check_out(name, tree=tree, is_forced=force)
        prepare_git(workspace.root, name)
        done.append({"path": name, "files": changed})
        if not json:
            typer.echo(f"{name}: {changed:,} files written or removed" if changed else f"{name}: is as it was added")
    if json:
        typer.echo(codec.encode_text(done))
    elif not names:
        typer.echo("Nothing was added yet; 'penstock data add PATH' does that.")
