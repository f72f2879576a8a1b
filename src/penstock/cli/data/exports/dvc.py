"""`penstock data export dvc`: a version as DVC checks it out or pulls it."""

from pathlib import Path, PurePosixPath

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.exports.choosing import Chosen, choose
from penstock.cli.data.folder import open_bar
from penstock.cli.data.imports.dvc import INDEX
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.core.project.places import folder_config
from penstock.datasets.dvc.exporting import export_version
from penstock.datasets.dvc.md5_index import Md5Index
from penstock.datasets.workspace.workspace import find_root

app = command_app()


@app.command()
def dvc(
    what: str = typer.Argument(help="A dataset, as NAME or NAME@VERSION, or a path of penstock.data."),
    to: Path = typer.Option(..., help="A DVC project; where there is none, one is made."),
    remote: Path | None = typer.Option(
        None, help="A folder to write the content to, as a remote has it. [default: the project's cache]"
    ),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Write a .dvc file and the content it names; 'dvc checkout', or 'dvc pull' from that remote, does the rest."""
    chosen = choose(what, url)
    path, is_file = _path_of(chosen)
    index = Md5Index(folder_config(find_root(Path.cwd())).home / INDEX)
    with open_bar(path, is_quiet=json) as progress:
        done = export_version(
            chosen.objects, chosen.tree, to, path, index, is_file=is_file, remote=remote, progress=progress
        )
    if json:
        typer.echo(codec.encode_text(done))
        return
    typer.echo(f"{done.file}: {done.files:,} files, {done.size / 1e6:,.1f} MB, {done.written:,} written")
    if done.empty_folders:
        typer.echo(f"left out: {done.empty_folders:,} empty folders, which DVC cannot keep", err=True)


def _path_of(chosen: Chosen) -> tuple[str, bool]:
    """The path that the data has in the other project, and whether it is a single file."""
    only = chosen.objects.get_tree(chosen.tree).entries
    source = PurePosixPath(chosen.source)
    is_plain = not source.is_absolute() and not {"..", "*"} & set(source.parts) and "*" not in chosen.source
    name = source.name if is_plain else chosen.dataset
    is_file = len(only) == 1 and only[0].name == name and only[0].kind.value in ("file", "executable")
    return (chosen.source if is_plain else chosen.dataset), is_file
