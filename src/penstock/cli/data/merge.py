"""`penstock data merge`: what Git calls to merge `penstock.data`."""

from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption
from penstock.core import codec
from penstock.core.project.places import folder_config
from penstock.datasets.workspace.merging import merge_pointers
from penstock.datasets.workspace.pointers import parse_pointers
from penstock.datasets.workspace.workspace import find_root
from penstock.storage.objects.open import open_object_store

app = command_app()


@app.command()
def merge(
    base: Path = typer.Argument(help="The file that both sides come from."),
    ours: Path = typer.Argument(help="The file of this side, which is overwritten with what becomes of both."),
    theirs: Path = typer.Argument(help="The file of the other side."),
    json: bool = JsonOption,
) -> None:
    """Merge two versions of penstock.data, path by path and file by file; Git calls this. Exit code 1: conflicts."""
    objects = open_object_store(folder_config(find_root(Path.cwd())).objects_url)
    merged = merge_pointers(objects, *(parse_pointers(file.read_text("utf-8")) for file in (base, ours, theirs)))
    ours.write_text(merged.text, "utf-8")
    if json:
        typer.echo(codec.encode_text({"conflicts": merged.conflicts}))
    else:
        for path in merged.conflicts:
            typer.echo(f"both sides changed {path}", err=True)
    raise typer.Exit(1 if merged.conflicts else 0)
