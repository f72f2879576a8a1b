"""The port under the object store: whole blobs by key, created once and never changed."""

from collections.abc import Iterator
from typing import Protocol, TypeAlias

Data: TypeAlias = bytes | bytearray | memoryview


class BlobWriter(Protocol):
    """A blob on its way in, whose key is known only when it is whole; for one caller at a time.

    Nothing of it can be read before `publish`. One that is neither published nor discarded, as its process was killed,
    is swept later.
    """

    def append(self, data: Data) -> None:
        """Add bytes at the end; errors as `BlobStore.put_if_absent`."""
        ...

    def seal(self) -> None:
        """Say that nothing more is added; what is there survives a power cut, and holds no file open."""
        ...

    def publish(self, key: str) -> bool:
        """Give a sealed blob its key; False when the key is taken."""
        ...

    def discard(self) -> None:
        """Leave nothing behind; harmless after `publish`."""
        ...


class BlobStore(Protocol):
    """Keeps immutable blobs under keys such as `loose/ab/abcd...`.

    The contract of every implementation:

    - Keys are lower-case letters, digits, `.` and `-` in segments parted by `/`; no segment begins with a dot.
      Anything else is refused with InvalidInputError, so that no key can leave the store.
    - A blob appears whole or not at all. Once `put_if_absent` has returned, the blob survives a power cut.
    - Threads and processes may use one store at the same time; of two writers of one key exactly one is told True.
    - A store without room raises StorageFullError, one that cannot be reached UnavailableError; in both cases nothing
      of the blob is left behind.
    """

    def put_if_absent(self, key: str, data: Data) -> bool:
        """Keep a blob; False when the key is taken, whatever it holds."""
        ...

    def open_writer(self) -> BlobWriter:
        """A blob that arrives in pieces, for what is too large to be held in memory."""
        ...

    def get(self, key: str) -> bytes:
        """The whole blob; NotFoundError when there is none."""
        ...

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only where the blob ends; NotFoundError when there is none."""
        ...

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`, in order of the alphabet; blobs being written are not shown."""
        ...

    def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is no error."""
        ...

    def size(self, key: str) -> int:
        """The blob's length in bytes; NotFoundError when there is none."""
        ...


class HeldBlob:
    """A `BlobWriter` that keeps the bytes in memory, for stores that take blobs only whole."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._held = bytearray()

    def append(self, data: Data) -> None:
        """Add bytes at the end."""
        self._held += data

    def seal(self) -> None:
        """Nothing: the bytes are safe when they are published."""

    def publish(self, key: str) -> bool:
        """Put the bytes into the store."""
        return self._blobs.put_if_absent(key, self._held)

    def discard(self) -> None:
        """Let go of the bytes."""
        self._held = bytearray()
