"""Files and folders become versions."""

import importlib
from pathlib import Path
from typing import Any

import typer

from penstock.cli.data.folder import open_bar, open_workspace
from penstock.core.errors import InvalidInputError
from penstock.datasets.workspace.git import prepare_git
from penstock.datasets.workspace.workspace import AddedPath, path_in
from penstock.storage.objects.folders.scanning import Rules

_LINKS = ("refuse", "follow", "keep")
_NAMES = ("portable", "any")


def add_paths(paths: list[Path], *, name: str, links: str, names: str, json: bool, url: str) -> list[dict[str, Any]]:
    """Add paths of the folder around the working directory, and record each as a version of a dataset."""
    if links not in _LINKS or names not in _NAMES:
        option, value, known = ("--links", links, _LINKS) if links not in _LINKS else ("--names", names, _NAMES)
        raise InvalidInputError(f"{option} cannot be {value!r}", hint=f"choose from {', '.join(known)}")
    if name and len(paths) > 1:
        raise InvalidInputError("--name is for one path", hint="add each by itself")
    rules = Rules(links, names == "portable")  # type: ignore[arg-type]  # one of the three
    with open_workspace(url) as workspace:
        done = []
        for given in paths:
            path = path_in(workspace.root, given)
            with open_bar(path, is_quiet=json) as progress:
                done.append(workspace.add(path, rules, dataset=name, progress=progress, meanwhile=_import_recording))
            prepare_git(workspace.root, path)
        versions = _import_recording().record([each.pointer for each in done], url)
    rows = [_to_row(added, version.version) for added, version in zip(done, versions, strict=True)]
    if not json:
        for row in rows:
            size = f"{row['files']:,} files, {row['size'] / 1e6:,.1f} MB, {row['read']:,} read"
            typer.echo(f"{row['path']}: version {row['version']} of {row['dataset']}, {size}")
    return rows


def _import_recording() -> Any:
    """What opens the database: it takes as long to import as many files to read."""
    return importlib.import_module("penstock.cli.data.recording")


def _to_row(added: AddedPath, version: int) -> dict[str, Any]:
    pointer = added.pointer
    return {
        "path": pointer.path,
        "dataset": pointer.dataset,
        "version": version,
        "tree": pointer.tree,
        "files": pointer.files,
        "size": pointer.size,
        "read": added.read,
        "new": added.is_new,
    }
