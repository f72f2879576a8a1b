"""`penstock.load_dataset()` and `penstock.load_model()`: what the store holds, as frames and models."""

from pathlib import Path

import polars as pl

from penstock.catalogue.services import Services
from penstock.core.config import load_config
from penstock.datasets.frames import read_version
from penstock.registry.format.loaded import LoadedModel
from penstock.registry.loading import open_model
from penstock.sdk.connect import connect


def load_dataset(name: str, version: int | None = None, *, services: Services | None = None) -> pl.DataFrame:
    """The rows of a dataset version; the newest when none is named.

    Raises:
        NotFoundError: no such dataset or version.
    """
    opened = services or connect()
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
    opened = services or connect()
    return open_model(opened.objects, opened.registry.resolve(uri), cache or load_config().cache)
