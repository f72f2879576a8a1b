"""`penstock data checkout`: files and folders as a version has them."""

import importlib
from pathlib import Path
from typing import get_args

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.folder import open_bar, open_workspace
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.project.parse import FILE_NAME, load_project
from penstock.datasets.workspace.git import prepare_git
from penstock.datasets.workspace.workspace import path_in
from penstock.storage.objects.folders.shared_files import LinkKind

app = command_app()


@app.command()
def checkout(
    paths: list[Path] = typer.Argument(None, help="Files or folders that were added. [default: all of them]"),
    version: int = typer.Option(0, help="Of one path: go back to this version. [default: the one in penstock.data]"),
    link: str = typer.Option("", help="copy, hardlink or reflink. [default: as penstock.toml says, else copy]"),
    force: bool = typer.Option(False, "--force", help="Give up changes that were never added."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Write files and folders as penstock.data says, in place of what is there; what was never added is not lost."""
    with open_workspace(url) as workspace:
        names = [path_in(workspace.root, path) for path in paths or []] or list(workspace.pointers())
        if version and len(names) != 1:
            raise InvalidInputError("--version is for one path", hint="name the one that goes back")
        kind = _choose(link, workspace.root)
        tree = None
        if version:
            recording = importlib.import_module("penstock.cli.data.recording")  # which opens a database
            tree = recording.find_tree(workspace.get_pointer(names[0]).dataset, version, url)
        done = []
        for name in names:
            with open_bar(name, is_quiet=json) as progress:
                changed = workspace.check_out(name, tree=tree, is_forced=force, link=kind, progress=progress)
            prepare_git(workspace.root, name)
            done.append({"path": name, "files": changed})
            if not json:
                told = f"{changed:,} file{'s' * (changed != 1)} written or removed"
                typer.echo(f"{name}: {told if changed else 'is as it was added'}")
        if json:
            typer.echo(codec.encode_text(done))
        elif not names:
            typer.echo("Nothing was added yet; 'penstock data add PATH' does that.")


def _choose(link: str, root: Path) -> LinkKind:
    if not link and (root / FILE_NAME).is_file():
        return load_project(root).storage.link
    if link not in ("", *get_args(LinkKind)):
        raise InvalidInputError(f"--link cannot be {link!r}", hint=f"choose from {', '.join(get_args(LinkKind))}")
    return link or "copy"  # type: ignore[return-value]  # one of the three
