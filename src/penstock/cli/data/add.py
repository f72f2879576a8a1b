"""`penstock data add`: what is named becomes a version, whether a dataset of the project file or a path."""

import importlib
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.core.errors import NotFoundError
from penstock.core.project.parse import FILE_NAME, load_project
from penstock.datasets.workspace.workspace import find_root

app = command_app()


@app.command()
def add(
    what: list[str] = typer.Argument(
        None, help="Datasets of penstock.toml, or files and folders. [default: all datasets of penstock.toml]"
    ),
    name: str = typer.Option("", help="Of the dataset that a path becomes. [default: the last part of the path]"),
    links: str = typer.Option("refuse", help="What becomes of symbolic links in a folder: refuse, follow or keep."),
    names: str = typer.Option("portable", help="portable: refuse names that Windows cannot have; any: take them."),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Take in sources, files or folders as new versions, unless nothing changed or a check keeps them out."""
    datasets = _known_datasets()
    paths = [each for each in what or [] if each not in datasets and (Path(each).exists() or Path(each).is_symlink())]
    sources = [each for each in what or [] if each not in paths]
    if not datasets and sources:
        raise NotFoundError(f"there is no file or folder {sources[0]}")
    done: list[dict[str, object]] = []
    if paths:
        add_paths = importlib.import_module("penstock.cli.data.add_paths").add_paths
        done += add_paths([Path(each) for each in paths], name=name, links=links, names=names, json=json, url=url)
    if sources or not what:
        add_sources = importlib.import_module("penstock.cli.data.add_sources").add_sources
        done += add_sources(sources, json=json, url=url)
    if json:
        typer.echo(codec.encode_text(done))


def _known_datasets() -> set[str]:
    """Those of the project file, where there is one."""
    file = find_root(Path.cwd()) / FILE_NAME
    return set(load_project(file).data) if file.is_file() else set()
