"""Opens the object store that a path or URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from penstock.core.errors import InvalidInputError
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore


def open_object_store(where: str | Path) -> ObjectStore:
    """The store in a folder; it is created when it is first written to.

    Args:
        where: a path or a `file://` URL. A server's store is opened with the server's client.

    Raises:
        InvalidInputError: the URL names a kind of store that is not known here.
    """
    text = str(where)
    if "://" not in text:
        return ObjectStore(LocalBlobStore(Path(text)))
    parts = urlsplit(text)
    if parts.scheme != "file" or parts.netloc:
        raise InvalidInputError(f"{text!r} names no object store that can be opened here", hint="name a folder")
    return ObjectStore(LocalBlobStore(Path(unquote(parts.path))))
