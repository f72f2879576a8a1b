"""`penstock.load_dataset()` and `penstock.load_model()`: what the store holds, as frames and models."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from penstock.catalogue.services import Services
from penstock.core.config import load_config
from penstock.core.errors import NotFoundError
from penstock.core.project.places import find_project_folder, project_config
from penstock.datasets.frames import read_version
from penstock.registry.format.loaded import LoadedModel
from penstock.registry.loading import open_model
from penstock.sdk.connect import connect


def load_dataset(name: str, version: int | None = None, *, services: Services | None = None) -> pl.DataFrame:
    """The rows of a dataset version; the newest when none is named.

    Raises:
        NotFoundError: no such dataset or version.
    """
    with _opened(services) as opened:
        return read_version(opened.objects, opened.datasets.get_version(name, version))


def load_model(uri: str, *, cache: Path | None = None, services: Services | None = None) -> LoadedModel:
    """A registered model, ready to predict; its golden predictions were checked.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        cache: where model directories are laid out; None: the home folder's cache.
        services: where the registry is; None: `penstock.connect()`.

    Raises:
        NotFoundError: no such model, version or alias.
        CorruptDataError: the stored model does not predict what it did when it was saved.
    """
    with _opened(services) as opened:
        return open_model(opened.objects, opened.registry.resolve(uri), cache or _own_cache())


@contextlib.contextmanager
def _opened(services: Services | None) -> Iterator[Services]:
    opened = services or connect()
    try:
        yield opened
    finally:
        if services is None:
            opened.close()


def _own_cache() -> Path:
    try:
        return project_config(find_project_folder(Path.cwd())).cache
    except NotFoundError:  # the services are elsewhere
        return load_config().cache
