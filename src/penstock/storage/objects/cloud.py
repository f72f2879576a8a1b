"""Blobs in a bucket of S3, Google Cloud Storage or Azure, or of whatever speaks one of these protocols, by obstore."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import from_url

from penstock.core.errors import (
    InvalidInputError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    StorageFullError,
    UnavailableError,
)
from penstock.storage.objects.blob_store import BlobWriter, Data
from penstock.storage.objects.keys import check_key, check_prefix

if TYPE_CHECKING:  # these two are nowhere but in obstore's stubs
    from obstore.store import ClientConfig, RetryConfig

SCHEMES = ("s3", "gs", "az")
LARGEST_SINGLE_PUT = 128 << 20  # bytes; above, a blob goes in parts, which no store creates on condition
_PART_SIZE = 16 << 20
_PARTS_IN_FLIGHT = 4
_HELD = 1 << 20  # bytes of a blob on its way in that stay in memory; the rest waits on this machine's disk
_CLIENT: "ClientConfig" = {
    "timeout": timedelta(minutes=5),  # a pack of 64 MiB over 2 Mbit/s
    "allow_http": True,  # spoken only where the environment names an endpoint without TLS
}
_RETRIES: "RetryConfig" = {"max_retries": 6, "retry_timeout": timedelta(minutes=2)}
_LIST_CHUNK = 1000
_STATUS = re.compile(r"status code: (\d{3})")
_BEYOND_THE_END = re.compile(r"status code: 416|Wanted range starting at")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_NO_CREDENTIALS = re.compile(r"token request|169\.254\.169\.254|metadata\.google|Account must be specified|credential")
_NO_ROOM = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "AccountStorageQuotaExceeded"}
_NO_BUCKET = {"NoSuchBucket", "InvalidBucketName", "ContainerNotFound"}
_ERRORS = (exceptions.BaseError, OSError, ValueError)
_CREDENTIALS = "the store's own environment variables give them, such as AWS_ACCESS_KEY_ID or AZURE_STORAGE_ACCOUNT_KEY"


def open_cloud(url: str) -> "CloudBlobStore":
    """The blobs below `s3://BUCKET/PREFIX`, `gs://...` or `az://CONTAINER/PREFIX`; nothing is asked of the store yet.

    Credentials, region and endpoint come from the environment variables of the store's own tools.

    Raises:
        InvalidInputError: the URL names no bucket, or says more than that.
        PermissionDeniedError: the environment has no credentials for such a store.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        known = ", ".join(f"{scheme}://BUCKET/PREFIX" for scheme in SCHEMES)
        raise InvalidInputError(f"this URL of kind {parts.scheme!r} names no bucket", hint=f"write {known}")
    shown = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    with _explained(shown, ""):
        store = from_url(shown, client_options=_CLIENT, retry_config=_RETRIES)
    return CloudBlobStore(store, shown)


class CloudBlobStore:
    """A bucket, or a part of one, as a blob store; see `BlobStore` for what it promises.

    Requests that fail for want of a connection or with a 5xx are repeated, for two minutes at most. A blob above
    `LARGEST_SINGLE_PUT` goes in parts: of two writers of such a key, which hold the same bytes, both may be told True.

    Args:
        store: an obstore store.
        shown: what the store is called in messages.
    """

    def __init__(self, store: Any, shown: str) -> None:
        self._store = store
        self.shown = shown
        self._creates = True  # whether the store takes "only if absent"

    def put_if_absent(self, key: str, data: Data) -> bool:
        """Keep a blob; False when the key is taken."""
        # A copy: a buffer that its owner fills anew must not change what a retry sends, or a store in memory holds.
        return self._put(key, bytes(data), len(data))

    def open_writer(self) -> BlobWriter:
        """A blob that arrives in pieces; it waits on this machine's disk until it is published."""
        return _SpooledBlob(self)

    def put_from(self, key: str, file: IO[bytes], size: int) -> bool:
        """As `put_if_absent`, with the `size` bytes of an open file."""
        return self._put(key, file, size)

    def get(self, key: str) -> bytes:
        """The whole blob."""
        with _explained(self.shown, check_key(key)):
            return bytes(obstore.get(self._store, key).bytes())

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """A part of a blob."""
        with _explained(self.shown, check_key(key)):
            if length == 0:
                self.size(key)
                return b""
            try:
                return bytes(obstore.get_range(self._store, key, start=offset, length=length))
            except exceptions.GenericError as error:
                if _BEYOND_THE_END.search(str(error)):
                    return b""
                raise

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, in order of the alphabet."""
        folder = check_prefix(prefix).rpartition("/")[0]
        with _explained(self.shown, prefix):
            for page in obstore.list(self._store, folder or None, chunk_size=_LIST_CHUNK):
                yield from (found["path"] for found in page if found["path"].startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove a blob."""
        with _explained(self.shown, check_key(key)), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, key)

    def size(self, key: str) -> int:
        """A blob's length in bytes."""
        with _explained(self.shown, check_key(key)):
            return int(obstore.head(self._store, key)["size"])

    def _put(self, key: str, data: Data | IO[bytes], size: int) -> bool:
        check_key(key)
        with _explained(self.shown, key):
            if size > LARGEST_SINGLE_PUT or not self._creates:
                return self._put_after_look(key, data)
            try:
                obstore.put(self._store, key, data, mode="create", use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return False
            except (exceptions.NotSupportedError, exceptions.GenericError) as error:
                if isinstance(error, exceptions.GenericError) and _status_of(error) != 501:
                    raise
                self._creates = False
                return self._put_after_look(key, data)
            return True

    def _put_after_look(self, key: str, data: Data | IO[bytes]) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            obstore.put(self._store, key, data, chunk_size=_PART_SIZE, max_concurrency=_PARTS_IN_FLIGHT)
            return True
        return False


class _SpooledBlob:
    """A file without a name on this machine's disk, which is sent when its key is known."""

    def __init__(self, blobs: CloudBlobStore) -> None:
        self._blobs = blobs
        self._file = tempfile.SpooledTemporaryFile(max_size=_HELD)  # noqa: SIM115  # `discard` closes it
        self._size = 0

    def append(self, data: Data) -> None:
        """Add bytes at the end."""
        try:
            self._file.write(data)
        except OSError as error:
            raise StorageFullError(
                f"the folder for temporary files cannot be written: {error.strerror}", hint="TMPDIR names another one"
            ) from error
        self._size += len(data)

    def seal(self) -> None:
        """Nothing: the bytes are safe when they are published."""

    def publish(self, key: str) -> bool:
        """Send the bytes."""
        self._file.seek(0)
        is_new = self._blobs.put_from(key, self._file, self._size)
        self.discard()
        return is_new

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()


@contextlib.contextmanager
def _explained(store: str, key: str) -> Iterator[None]:
    """Give a store's errors in the words of this project."""
    try:
        yield
    except _ERRORS as error:
        raise _explain(error, store, key) from error


def _explain(error: Exception, store: str, key: str) -> PenstockError:
    """What an error means to a caller; of the store's own text only the code, as the rest may hold what is secret."""
    text = str(error)
    found = _CODE.search(text)
    code, status = found.group(1) if found else "", _status_of(error)
    told = f"status {status} {code}".strip() if status else _first_cause(text)
    if code in _NO_BUCKET:
        return InvalidInputError(f"there is no bucket for {store}", hint="make it first, or name another one")
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"there is no {key} in {store}")
    if status == 507 or code in _NO_ROOM:
        return StorageFullError(f"there is no room left in {store}", hint="free some space and try again")
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)) or status in (401, 403):
        return PermissionDeniedError(f"{store} refuses the credentials of this process ({told})", hint=_CREDENTIALS)
    if "No CA certificates" in text:
        hint = "SSL_CERT_FILE names a file of them"
        return UnavailableError(
            f"{store} cannot be reached: this machine has no certificates of authorities", hint=hint
        )
    if _NO_CREDENTIALS.search(text):
        return PermissionDeniedError(f"there are no credentials for {store}", hint=_CREDENTIALS)
    if isinstance(error, (ValueError, exceptions.UnknownConfigurationKeyError, exceptions.InvalidPathError)):
        return InvalidInputError(f"{store} cannot be opened: {text.partition(chr(10))[0]}")
    return UnavailableError(f"{store} cannot be reached just now: {told}", retry_after_s=5.0)


def _status_of(error: Exception) -> int:
    found = _STATUS.search(str(error))
    return int(found.group(1)) if found else 0


def _first_cause(text: str) -> str:
    """The end of an error's first line, where the cause stands; what is before names URLs."""
    line = text.partition("\n")[0]
    return line.rpartition(" - ")[2] if " - " in line else line.rpartition(": ")[2]
