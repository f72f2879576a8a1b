"""The store that is pushed to and pulled from, the versions that are meant, and the bar while bytes move."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from penstock.catalogue.services import Services
from penstock.cli.output import amount, open_console
from penstock.core.config import load_config
from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest, Ref
from penstock.core.project.places import find_project_folder, project_config
from penstock.datasets.types import VersionSummary
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.open import open_blobs
from penstock.storage.objects.transfer.types import Progress, Tell, Transferred

RemoteOption = typer.Option("", "--remote", help="URL or folder of a store. [default: that of penstock.toml]")
NamesArgument = typer.Argument(None, help="DATASET, or DATASET@VERSION.")
_PAGE = 1000


def open_remote_blobs(given: str) -> BlobStore:
    """The remote that is named; else that of `PENSTOCK_REMOTE`, or of the project around the working directory.

    Raises:
        InvalidInputError: none is named.
    """
    remote = given or load_config().remote or _project_remote()
    if not remote:
        hint = "name one with --remote, as [storage] remote in penstock.toml, or in PENSTOCK_REMOTE"
        raise InvalidInputError("there is no remote to speak to", hint=hint)
    return open_blobs(remote)


def _project_remote() -> str:
    try:
        return project_config(find_project_folder(Path.cwd())).remote
    except NotFoundError:
        return ""


def find_versions(services: Services, names: Sequence[str], *, newest_only: bool) -> dict[Ref, Digest]:
    """The versions that are meant, with their trees: of the datasets that are named, or of all there are.

    Args:
        services: knows the versions.
        names: `DATASET`, or `DATASET@VERSION`; empty for all datasets.
        newest_only: only the newest version where none is named.

    Raises:
        NotFoundError: there is no such dataset or version.
        InvalidInputError: a version is no number.
    """
    found: dict[Ref, Digest] = {}
    for name in names or _list_datasets(services):
        dataset, at, number = name.partition("@")
        if at or newest_only:
            version = services.datasets.get_version(dataset, _parse_version(name, number) if at else None)
            found[version.ref] = version.tree
        else:
            services.datasets.get_version(dataset)  # says which datasets there are, if it is none
            found.update({_ref_of(each): each.tree for each in _list_versions(services, dataset)})
    return found


def _parse_version(name: str, number: str) -> int:
    if not number.isdecimal():
        raise InvalidInputError(f"{name!r} names no version", hint="write DATASET@NUMBER, as in orders@3")
    return int(number)


def _list_datasets(services: Services) -> Iterator[str]:
    after = ""
    while page := services.datasets.list_datasets(_PAGE, after):
        yield from (dataset.name for dataset in page)
        after = page[-1].name


def _list_versions(services: Services, dataset: str) -> Iterator[VersionSummary]:
    before = None
    while page := services.datasets.list_versions(dataset, _PAGE, before):
        yield from page
        before = page[-1].version


def _ref_of(version: VersionSummary) -> Ref:
    return Ref("dataset-version", f"{version.dataset}/{version.version}")


@contextlib.contextmanager
def showing(text: str, *, is_quiet: bool) -> Iterator[Tell]:
    """A bar on standard error, for whoever sits there."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    is_hidden = is_quiet or not sys.stderr.isatty()
    with Bar(*columns, console=open_console(stderr=True), disable=is_hidden, transient=True) as bar:
        task = bar.add_task(text, total=None)

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        yield tell


def figures(done: Transferred) -> dict[str, int]:
    """What a transfer did, for programs."""
    return {"objects": done.objects, "present": done.present, "packs": done.packs, "bytes": done.size}


def tell_transfer(done: Transferred, moved: str, versions: int, where: str) -> str:
    """What a transfer did, for people: `pushed 3 versions: 2.9 MiB in 3 packs`."""
    size = f"{amount(done.size)} in {done.packs} pack{'s' * (done.packs != 1)}"
    told = size if done.packs else f"nothing was missing {where}"
    return f"{moved} {versions} version{'s' * (versions != 1)}: {told}"
