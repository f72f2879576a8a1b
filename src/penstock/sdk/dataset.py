"""`penstock.dataset()`: a version of a dataset, read where it is kept."""

import os
import weakref
from pathlib import Path

from penstock.catalogue.services import Services
from penstock.datasets.reading.reader import DatasetReader, find_version
from penstock.datasets.workspace.workspace import HOME, find_root
from penstock.remote.blobs import HttpBlobStore
from penstock.sdk.connect import connect


def dataset(name: str, *, services: Services | None = None) -> DatasetReader:
    """A version of a dataset, to be read as files, frames or batches where it is kept, without a checkout.

    Args:
        name: `NAME@VERSION`; `NAME` alone is the newest version.
        services: where the dataset is; None: `penstock.connect()`, or the folder around the working directory that
            `penstock data add` was used in.

    Raises:
        NotFoundError: no such dataset or version.
    """
    if services is not None:
        return DatasetReader(services.objects, find_version(services.datasets, name))
    return open_reader(name, default_target())


def open_reader(name: str, target: str | None, token: str = "") -> DatasetReader:
    """A version of a dataset at a place; what has to stay open for it is closed when nothing reads from it any more.

    Args:
        name: as for `dataset`.
        target: as for `penstock.connect`.
        token: for a server that asks for one.
    """
    opened = connect(target, token=token)
    is_kept = False
    try:
        reader = DatasetReader(opened.objects, find_version(opened.datasets, name))
        is_kept = isinstance(opened.objects.blobs, HttpBlobStore)  # through which the files come
    finally:
        if not is_kept:
            opened.close()
    if is_kept:
        weakref.finalize(opened.objects, opened.close)
    return reader


def default_target() -> str | None:
    """Where data is looked for when nobody says where; None: where `penstock.connect()` leads."""
    root = find_root(Path.cwd())
    is_plain = not os.environ.get("PENSTOCK_URL") and (root / HOME).is_dir()
    return str(root) if is_plain else None
