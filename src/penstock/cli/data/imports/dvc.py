"""`penstock data import dvc`: what DVC has in its care becomes versions with the same paths."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer

from penstock.cli.apps import command_app
from penstock.cli.data.folder import open_bar, open_workspace
from penstock.cli.data.recording import record
from penstock.cli.options import JsonOption, UrlOption
from penstock.core import codec
from penstock.core.project.places import folder_config
from penstock.datasets.dvc.importing import DvcImporter, Missing, TakenOut
from penstock.datasets.dvc.md5_index import Md5Index
from penstock.datasets.dvc.places import Places
from penstock.datasets.dvc.project import DvcProject, open_project
from penstock.datasets.workspace.git import prepare_git
from penstock.datasets.workspace.pointers import Pointer
from penstock.datasets.workspace.workspace import Workspace, dataset_name, name_of, path_in
from penstock.storage.objects.object_store import ObjectStore

app = command_app()
INDEX = "cache/md5.index"  # below the home folder
SHOWN = 20  # missing files; --json has all


@app.command()
def dvc(
    project: Path = typer.Argument(Path(), help="A DVC project, a folder in it, or one .dvc file. [default: here]"),
    remote: str = typer.Option("", help="Name or URL of the DVC remote to read. [default: the project's own]"),
    json: bool = JsonOption,
    url: str = UrlOption,
) -> None:
    """Take over files and folders of a DVC project, each file checked by its MD5; exit code 1 when any is missing."""
    found = open_project(project)
    with open_workspace(url) as workspace:
        config, objects = folder_config(workspace.root), workspace.objects
        assert isinstance(objects, ObjectStore)  # wherever it is
        with open_bar("from DVC", is_quiet=json) as progress:
            importer = DvcImporter(objects, Places(found, remote), Md5Index(config.home / INDEX), progress)
            taken, missing = importer.take(found.outs)
        pointers = _to_pointers(workspace, found, taken)
        versions = record(pointers, url)
        workspace.point(pointers)
        for pointer in pointers:
            prepare_git(workspace.root, pointer.path)
    rows = [
        {
            "path": pointer.path,
            "dataset": pointer.dataset,
            "version": version.version,
            "files": each.files,
            "size": each.size,
            "read": each.read,
        }
        for pointer, version, each in zip(pointers, versions, taken, strict=True)
    ]
    if json:
        typer.echo(codec.encode_text({"versions": rows, "missing": missing, "skipped": found.skipped}))
    else:
        for row in rows:
            size = f"{row['files']:,} files, {row['size'] / 1e6:,.1f} MB, {row['read']:,} read"  # type: ignore[operator]
            typer.echo(f"{row['path']}: version {row['version']} of {row['dataset']}, {size}")
        _tell(found.skipped, missing)
        if not rows and not missing:
            typer.echo(f"There is nothing to take over in {found.root}.")
    raise typer.Exit(1 if missing else 0)


def _to_pointers(workspace: Workspace, project: DvcProject, taken: Sequence[TakenOut]) -> list[Pointer]:
    """What was taken over under the paths it has in the folder here."""
    is_inside = project.root.is_relative_to(workspace.root)
    base = project.root if is_inside else Path.cwd()
    paths = {each.out.path: path_in(workspace.root, base / each.out.path) for each in taken}
    known = workspace.pointers()
    names = Counter(name_of(path) for path in {*paths.values(), *known})
    pointers = []
    for each in taken:
        path = paths[each.out.path]
        name = known[path].dataset if path in known else ""
        if not name:
            name = name_of(path) if names[name_of(path)] == 1 else dataset_name(path.replace("/", "-"))
        kind = "folder" if each.out.is_folder else "file"
        pointers.append(Pointer(path, kind, each.tree, each.files, each.size, name))  # type: ignore[arg-type]
    return pointers


def _tell(skipped: Sequence[str], missing: Sequence[Missing]) -> None:
    for reason in skipped:
        typer.echo(f"left out: {reason}", err=True)
    for each in missing[:SHOWN]:
        told = "has other content wherever it is" if each.is_damaged else "is in no cache or remote"
        typer.echo(f"missing: {each.path}, as {each.md5} {told}", err=True)
    if len(missing) > SHOWN:
        typer.echo(f"missing: and {len(missing) - SHOWN:,} more", err=True)
    if missing:
        typer.echo(
            "  'dvc fetch' brings what a remote has, or name another one by --remote; then run this again", err=True
        )
