"""Opens the object store that a path or URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore


def open_object_store(where: str | Path) -> ObjectStore:
    """The store in a folder; it is created when it is first written to. What killed writers left there is swept.

    Args:
        where: a path or a `file://` URL. A server's store is opened with the server's client.

    Raises:
        InvalidInputError: the URL names a kind of store that is not known here.
    """
    text = str(where)
    if "://" not in text:
        return _open_local(Path(text))
    parts = urlsplit(text)
    if parts.scheme != "file" or parts.netloc:
        raise InvalidInputError(f"{text!r} names no object store that can be opened here", hint="name a folder")
    return _open_local(Path(unquote(parts.path)))


def _open_local(folder: Path) -> ObjectStore:
    blobs = LocalBlobStore(folder)
    blobs.sweep()
    return ObjectStore(blobs)
