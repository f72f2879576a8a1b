"""Versions of paths are recorded in the database of their folder, or by its server."""

import contextlib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from penstock.app.database import open_database
from penstock.core.config import DATABASE_NAME
from penstock.core.errors import NotFoundError
from penstock.core.ids import Digest
from penstock.core.project.places import folder_config
from penstock.datasets.service import DatasetService
from penstock.datasets.types import DatasetVersion, FilesDraft
from penstock.datasets.workspace.pointers import Pointer
from penstock.datasets.workspace.workspace import find_root
from penstock.remote.discovery import find_server

_PAGE = 1_000


def record(pointers: Sequence[Pointer], url: str) -> list[DatasetVersion]:
    """Record what was added; returns the version of each."""
    with open_datasets(url, may_be_new=True) as datasets:
        return [_record(datasets, pointer) for pointer in pointers]


def record_unknown(datasets: DatasetService, pointers: Iterable[Pointer]) -> list[DatasetVersion]:
    """Record what no version of its dataset is, such as what Git merged; returns the new versions."""
    return [_record(datasets, pointer) for pointer in pointers if not _is_recorded(datasets, pointer)]


def _record(datasets: DatasetService, pointer: Pointer) -> DatasetVersion:
    draft = FilesDraft(source=pointer.path, tree=pointer.tree, files=pointer.files, size=pointer.size)
    return datasets.record_files(pointer.dataset, draft)


def _is_recorded(datasets: DatasetService, pointer: Pointer) -> bool:
    before = None
    while page := datasets.list_versions(pointer.dataset, _PAGE, before):
        if any(version.tree == pointer.tree for version in page):
            return True
        before = page[-1].version
    return False


def find_tree(dataset: str, version: int, url: str) -> Digest:
    """The files of a version; NotFoundError when there is no such one."""
    with open_datasets(url) as datasets:
        return datasets.get_version(dataset, version).tree


def has_datasets(url: str) -> bool:
    """Whether anything can have been recorded here."""
    config = folder_config(find_root(Path.cwd()))
    return bool(url or config.database or (config.home / DATABASE_NAME).is_file() or find_server(config.home))


@contextlib.contextmanager
def open_datasets(url: str, *, may_be_new: bool = False) -> Iterator[DatasetService]:
    """The datasets of the folder around the working directory, without the services that have no part in this.

    Args:
        url: a server.
        may_be_new: whether a database is made where there is none.

    Raises:
        NotFoundError: there is no database.
    """
    root = find_root(Path.cwd())
    config = folder_config(root)
    if url or find_server(config.home) is not None:
        session = importlib.import_module("penstock.cli.session")  # the whole client
        with session.open_services(url) as services:
            yield services.datasets
        return
    if not (may_be_new or has_datasets(url)):
        raise NotFoundError(f"nothing was added yet in {root}", hint="'penstock data add PATH' adds a file or folder")
    db, _ = open_database(config)
    try:
        yield DatasetService(db)
    finally:
        db.close()
