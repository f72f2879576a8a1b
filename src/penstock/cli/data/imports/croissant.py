"""`penstock data import croissant`: a dataset that is described in Croissant becomes a version."""

import os
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.session import check_url
from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.core.project.types import CheckAction, DataSection
from penstock.datasets.croissant.importing import TakenIn, take_in
from penstock.datasets.workspace.workspace import find_root
from penstock.sdk.connect import connect

app = command_app()


@app.command()
def croissant(
    source: str = typer.Argument(metavar="FILE|URL", help="The description, whose files are fetched."),
    name: str = typer.Option("", help="Of the dataset. [default: the one in the description]"),
    types: str = typer.Option("block", help="block or warn: what happens when a column is not of its field's type."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Take in a dataset by its description: files are fetched, their SHA-256 and the types of columns checked."""
    if types not in ("block", "warn"):
        raise InvalidInputError(f"--types cannot be {types!r}", hint="choose from block, warn")
    action: CheckAction = "block" if types == "block" else "warn"
    check_url(url)
    services = connect(url or os.environ.get("PENSTOCK_URL") or find_root(Path.cwd()))  # which may be new
    try:
        taken = take_in(services.datasets, services.objects, source, name=name, action=action)
    finally:
        services.close()
    if json:
        shown = {"dataset": taken.version.dataset, "version": taken.version.version, "rows": taken.version.rows}
        typer.echo(codec.encode_text({**shown, "unchecked": taken.unchecked, "skipped": taken.skipped}))
        return
    _tell(taken)


def _tell(taken: TakenIn) -> None:
    version = taken.version
    typer.echo(f"{version.dataset} version {version.version}: {version.rows:,} rows, {version.file_count:,} files")
    for path in taken.unchecked:
        typer.echo(f"not checked: {path}, as the description has no SHA-256 of it", err=True)
    for reason in taken.skipped:
        typer.echo(f"left out: {reason}", err=True)
    if taken.section is not None and taken.section.checks:
        typer.echo("To hold the next versions to the same types, add to penstock.toml:\n")
        typer.echo(_to_toml(version.dataset, taken.section))


def _to_toml(dataset: str, section: DataSection) -> str:
    table = f"data.{codec.encode_text(dataset) if '.' in dataset else dataset}"
    lines = [f"[{table}]", 'source = "..."']
    if section.key:
        lines.append(f"key = {codec.encode_text(section.key)}")
    for check in section.checks:
        lines += ["", f"[[{table}.check]]", f"column = {codec.encode_text(check.column)}", f'type = "{check.type}"']
    return "\n".join(lines)
