"""The blobs of a server's object store, behind the same port as local files."""

from collections.abc import Iterator

from penstock.core import codec
from penstock.core.errors import NotFoundError
from penstock.remote.proxy import API, Connection
from penstock.storage.objects.blob_store import BlobWriter, Data, HeldBlob


class HttpBlobStore:
    """A `BlobStore` at the other end of an HTTP connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put_if_absent(self, key: str, data: Data) -> bool:
        """Keep a blob; False when the key is taken."""
        response = self._connection.request("PUT", f"{API}/blobs/{key}", content=bytes(data))
        return codec.decode(response.content, bool)

    def open_writer(self) -> BlobWriter:
        """A blob that arrives in pieces; they are sent together."""
        return HeldBlob(self)

    def get(self, key: str) -> bytes:
        """The whole blob."""
        return self._connection.request("GET", f"{API}/blobs/{key}").content

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`."""
        if length == 0:
            return b""
        headers = {"range": f"bytes={offset}-{offset + length - 1}"}
        return self._connection.request("GET", f"{API}/blobs/{key}", headers=headers).content

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`."""
        response = self._connection.request("GET", f"{API}/blobs", params={"prefix": prefix})
        yield from codec.decode(response.content, list[str])

    def delete(self, key: str) -> None:
        """Only the store's owner removes blobs."""
        raise NotFoundError("a remote object store removes nothing", hint="run the command where the server runs")

    def size(self, key: str) -> int:
        """The blob's length in bytes."""
        return int(self._connection.request("HEAD", f"{API}/blobs/{key}").headers["content-length"])
