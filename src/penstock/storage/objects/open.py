"""Opens the object store that a path or URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.guarding.leases import WriterLease
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore

_CLOUDS = ("s3", "gs", "az")
_HINT = "name a folder, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"


def open_object_store(where: str | Path) -> ObjectStore:
    """The store that a path or URL names, to be read and written; see `open_blobs`."""
    blobs = open_blobs(where)
    return ObjectStore(blobs, lease=WriterLease(blobs))


def open_blobs(where: str | Path) -> BlobStore:
    """The blobs in a folder or a bucket; a folder is created when it is first written to.

    What killed writers left half written in a folder is swept.

    Args:
        where: a path, or a URL: `file://`, `s3://`, `gs://` or `az://`. A server's store is opened with its client.

    Raises:
        InvalidInputError: the URL names a kind of store that is not known here.
        PermissionDeniedError: there are no credentials for it.
    """
    text = str(where)
    if "://" not in text:
        return _open_local(Path(text))
    parts = urlsplit(text)
    if parts.scheme in _CLOUDS:
        from penstock.storage.objects.cloud import open_cloud  # its library takes longer than a local command

        return open_cloud(text)
    if parts.scheme != "file" or parts.netloc:
        raise InvalidInputError(f"a URL of kind {parts.scheme!r} names no object store", hint=_HINT)
    return _open_local(Path(unquote(parts.path)))


def _open_local(folder: Path) -> LocalBlobStore:
    blobs = LocalBlobStore(folder)
    blobs.sweep()
    return blobs
