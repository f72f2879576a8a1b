"""`penstock models compile`: a version, or a model directory, with a fast form."""

from pathlib import Path

import typer
from rich.markup import escape

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import console, print_json
from penstock.cli.session import open_project, open_services
from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import read_table
from penstock.registry.format.compiling import compile_model
from penstock.registry.format.types import ModelInfo
from penstock.registry.names import version_uri
from penstock.sdk.compiling import compile_version

app = command_app()


@app.command("compile")
def compile_(
    version: str = typer.Argument(help="A version's number or an alias, or a folder with an MLmodel file."),
    model: str = typer.Option("", help="The model. [default: the project's own]"),
    sample: Path | None = typer.Option(
        None, help="A table of real rows to compare both forms on. [default: those the version was tested on]"
    ),
    to: Path | None = typer.Option(None, help="Of a folder: where the compiled copy is written."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Compile a model to ONNX again, as after installing the extra; what there is stays as it is.

    A version that can be compiled becomes a new version; release it as any other. Of a folder, a copy is written.
    """
    rows = None if sample is None else read_table(sample)
    folder = Path(version)
    if folder.is_dir():
        if to is None:
            raise InvalidInputError(f"{version} is a folder, and a copy of it is made", hint="say where: --to FOLDER")
        _tell(compile_model(folder, to, rows), f"written to {to}", json)
        return
    name = model or open_project().name
    with open_services(url) as services:
        found = services.registry.resolve(version_uri(name, version))
        info, made = compile_version(services, found, rows)
    what = f"no version was made; {found.uri} stays as it is" if made is None else f"registered as {made.uri}"
    _tell(info, what, json)


def _tell(info: ModelInfo, what: str, json: bool) -> None:
    form = info.fast_form
    if json:
        print_json({"info": info, "result": what})
    else:
        console.print(escape(f"{form.describe() if form else 'as it is'}"))
        console.print(escape(what))
    if form is None or not form.used:
        raise typer.Exit(1)
