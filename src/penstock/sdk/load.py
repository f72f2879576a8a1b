"""What the store holds, as frames and models: `load_dataset`, `split_dataset`, `load_split` and `load_model`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from penstock.catalogue.services import Services
from penstock.core.config import Config, load_config
from penstock.core.errors import NotFoundError
from penstock.core.project.places import find_project_folder, project_config
from penstock.datasets.frames import read_version
from penstock.datasets.splits.make import make_split
from penstock.datasets.splits.read import read_part
from penstock.datasets.splits.types import LeakAction, Split, SplitRecipe
from penstock.registry.loading import AnyModel, open_model, set_up_vetting
from penstock.sdk.connect import connect


def load_dataset(name: str, version: int | None = None, *, services: Services | None = None) -> pl.DataFrame:
    """The rows of a dataset version; the newest when none is named.

    Raises:
        NotFoundError: no such dataset or version.
    """
    with _opened(services) as opened:
        return read_version(opened.objects, opened.datasets.get_version(name, version))


def load_split(
    dataset: str, part: str, *, name: str = "default", version: int | None = None, services: Services | None = None
) -> pl.DataFrame:
    """The rows of a part of a recorded split.

    Args:
        dataset: its name.
        part: such as `train`.
        name: of the split.
        version: of the dataset; None for the newest that has a split of this name.
        services: where the dataset is; None: `penstock.connect()`.

    Raises:
        NotFoundError: no such split, or no such part of it.
    """
    with _opened(services) as opened:
        split = opened.datasets.get_split(dataset, name, version)
        return read_part(opened.objects, opened.datasets.get_version(dataset, split.version), split, part)


def split_dataset(
    dataset: str,
    recipe: SplitRecipe,
    *,
    name: str = "default",
    version: int | None = None,
    leaks: LeakAction = "block",
    services: Services | None = None,
) -> Split:
    """Part the rows of a dataset version, and record how under a name.

    Args:
        dataset: its name.
        recipe: how its rows are parted.
        name: of the split; the same recipe under the same name is the same split.
        version: of the dataset; None for the newest.
        leaks: whether what stands in two parts is refused (`block`), or only told (`warn`).
        services: where the dataset is; None: `penstock.connect()`.

    Raises:
        SplitLeakError: something stands in two parts.
        InvalidInputError: the recipe does not suit the version.
        ConflictError: the version has another split of this name.
        NotFoundError: no such dataset or version.
    """
    with _opened(services) as opened:
        found = opened.datasets.get_version(dataset, version)
        return opened.datasets.record_split(dataset, name, make_split(opened.objects, found, recipe, leaks=leaks))


def load_model(uri: str, *, cache: Path | None = None, services: Services | None = None) -> AnyModel:
    """A registered model, ready to predict; its signatures and golden predictions were checked.

    One that executes code runs in a process of its own, without network and secrets, and ends with this one.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        cache: where model directories are laid out; None: the home folder's cache.
        services: where the registry is; None: `penstock.connect()`.

    Raises:
        NotFoundError: no such model, version or alias.
        CorruptDataError: the stored model does not predict what it did when it was saved.
        ConflictError: it is not what was signed; or it executes code, and this system offers no sandbox.
        PermissionDeniedError: it executes code that nobody vouches for.
    """
    with _opened(services) as opened:
        config = own_config()
        vetting = set_up_vetting(opened.trust.get_standing, config)
        return open_model(opened.objects, opened.registry.resolve(uri), cache or config.cache, vetting)


@contextlib.contextmanager
def _opened(services: Services | None) -> Iterator[Services]:
    opened = services or connect()
    try:
        yield opened
    finally:
        if services is None:
            opened.close()


def own_config() -> Config:
    """The configuration of the project here, or of this process where there is none."""
    try:
        return project_config(find_project_folder(Path.cwd()))
    except NotFoundError:  # the services are elsewhere
        return load_config()
