"""`penstock.dataset()`: a version of a dataset, read where it is kept."""

import weakref

from penstock.catalogue.services import Services
from penstock.datasets.reading.reader import DatasetReader, find_version
from penstock.remote.blobs import HttpBlobStore
from penstock.sdk.connect import connect


def dataset(name: str, *, services: Services | None = None) -> DatasetReader:
    """A version of a dataset, to be read as files, frames or batches where it is kept, without a checkout.

    Args:
        name: `NAME@VERSION`; `NAME` alone is the newest version.
        services: where the dataset is; None: `penstock.connect()`.

    Raises:
        NotFoundError: no such dataset or version.
    """
    if services is not None:
        return DatasetReader(services.objects, find_version(services.datasets, name))
    opened = connect()
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
