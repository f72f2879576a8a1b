"""`penstock data export croissant`: a version described in Croissant 1.1, with or without its files."""

from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.exports.choosing import choose
from penstock.cli.data.folder import open_bar
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.project.parse import FILE_NAME, load_project
from penstock.datasets.croissant.writing import Description, describe
from penstock.datasets.reading.reader import DatasetReader
from penstock.datasets.workspace.workspace import find_root

app = command_app()
METADATA = "croissant.json"


@app.command()
def croissant(
    what: str = typer.Argument(help="A dataset, as NAME or NAME@VERSION, or a path of penstock.data."),
    to: Path | None = typer.Option(
        None, help=f"A new folder for the files and {METADATA}. [default: only print the description]"
    ),
    base: str = typer.Option(
        "", help="What stands before a file's path in its URL. [default: penstock://NAME@VERSION/]"
    ),
    licence: str = typer.Option("", "--license", help="A URL, or a name of SPDX such as CC-BY-4.0."),
    description: str = typer.Option("", help="What the dataset is."),
    creator: str = typer.Option("", help="Who made it. [default: the owner in penstock.toml]"),
    page: str = typer.Option("", help="The address of its page."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Describe a version in Croissant 1.1: its files with their SHA-256, and the columns of its tables."""
    if to is not None and base:
        raise InvalidInputError("--to and --base cannot be given together", hint="files in a folder have their places")
    if to is not None and to.exists() and any(to.iterdir() if to.is_dir() else [to]):
        raise ConflictError(f"{to} is there already", hint="name a new folder, or remove this one first")
    reader = choose(what, url).reader
    said = Description(text=description, licence=licence, creator=creator or _owner(), url=page)
    place = "" if to is not None else base or f"penstock://{reader.name}/"
    with open_bar(reader.name, is_quiet=json or to is None) as progress:
        found = describe(reader, said, base=place, progress=progress)
    if "license" not in found:
        typer.echo("the format asks for a licence: give it by --license", err=True)
    if to is None:
        typer.echo(codec.encode_text(found))
        return
    _write(reader, to, codec.encode_text(found))
    if json:
        typer.echo(codec.encode_text({"file": str(to / METADATA), "files": len(found["distribution"])}))
    else:
        typer.echo(f"{to / METADATA}: describes {len(found['distribution']):,} files, which lie beside it")


def _write(reader: DatasetReader, to: Path, text: str) -> None:
    if any(file.path == METADATA for file in reader.files()):
        raise ConflictError(f"dataset {reader.name!r} has a file {METADATA} of its own", hint="print the description")
    reader.checkout(to)
    (to / METADATA).write_text(f"{text}\n", "utf-8")


def _owner() -> str:
    file = find_root(Path.cwd()) / FILE_NAME
    return load_project(file).project.owner if file.is_file() else ""
