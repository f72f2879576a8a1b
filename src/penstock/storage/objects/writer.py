"""A file that arrives in pieces: cut, hashed and written as it comes, and visible only when it is whole."""

from collections.abc import Callable
from types import TracebackType

from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.chunker import Chunker
from penstock.storage.objects.format import BYTES, FILE, HEADER_SIZE, digest_of, encode_parts, to_digest
from penstock.storage.objects.pack import INDEX_MAGIC, PACK_MAGIC, index_key, pack_key


class ObjectWriter:
    """Takes a file piece by piece and gives its digest at the end; for one caller at a time.

    Memory is bounded by one chunk, and some 100 bytes for each chunk of the file. Chunks go into packs under temporary
    names, which `finish` publishes; a file of one chunk becomes a loose object. Leaving the `with` block before
    `finish` has returned leaves nothing behind. What `finish` has returned survives a power cut.

    Args:
        blobs: where the bytes go.
        chunker: where the file is cut.
        knows: whether the store holds an object.
        written: told the name and the index of each pack.
        keep_small: keeps a file of one chunk.
        pack_size: bytes after which a pack is full.
    """

    def __init__(
        self,
        blobs: BlobStore,
        *,
        chunker: Chunker,
        knows: Callable[[bytes], bool],
        written: Callable[[str, bytes], None],
        keep_small: Callable[[Data], Digest],
        pack_size: int,
    ) -> None:
        self.size = 0  # bytes so far
        self._blobs = blobs
        self._chunker = chunker
        self._knows = knows
        self._written = written
        self._keep_small = keep_small
        self._pack_size = pack_size
        self._chunk = memoryview(bytearray(HEADER_SIZE + chunker.largest))
        self._chunk[:HEADER_SIZE] = BYTES
        self._end = HEADER_SIZE
        self._parts: list[tuple[bytes, int]] = []  # digest and length of each chunk, in order
        self._new: set[bytes] = set()
        self._packs: list[_OpenPack] = []

    def write(self, data: Data) -> None:
        """Add a piece of any size.

        Raises:
            StorageFullError: there is no room.
            UnavailableError: the store cannot be written just now.
        """
        rest = memoryview(data).cast("B")
        self.size += len(rest)
        while rest:
            if self._end == len(self._chunk):
                self._cut()
            length = min(len(rest), len(self._chunk) - self._end)
            self._chunk[self._end : self._end + length] = rest[:length]
            self._end += length
            rest = rest[length:]

    def finish(self) -> Digest:
        """Keep the file and give its digest; errors as `write`, and then nothing of it can be read."""
        if not self._parts:
            return self._keep_small(self._chunk[HEADER_SIZE : self._end])
        while self._end > HEADER_SIZE:
            self._cut()
        stored = FILE + encode_parts(self._parts)
        digest = digest_of(stored)
        self._keep(digest, stored)
        for pack in self._packs:
            pack.seal()
        for pack in self._packs:
            self._written(*pack.publish())
        return to_digest(digest)

    def discard(self) -> None:
        """Give up; harmless after `finish`."""
        for pack in self._packs:
            pack.discard()

    def __enter__(self) -> "ObjectWriter":
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing that was not finished."""
        self.discard()

    def _cut(self) -> None:
        """Keep the first chunk of what is held, and move the rest to the front."""
        length = self._chunker.cut(self._chunk[HEADER_SIZE : self._end])
        end = HEADER_SIZE + length
        digest = digest_of(self._chunk[:end])
        self._keep(digest, self._chunk[:end])
        self._parts.append((digest, length))
        rest = bytes(self._chunk[end : self._end])
        self._chunk[HEADER_SIZE : HEADER_SIZE + len(rest)] = rest
        self._end = HEADER_SIZE + len(rest)

    def _keep(self, digest: bytes, stored: Data) -> None:
        if digest in self._new or self._knows(digest):
            return
        if not self._packs or self._packs[-1].is_sealed:
            self._packs.append(_OpenPack(self._blobs))
        pack = self._packs[-1]
        pack.add(digest, stored)
        self._new.add(digest)
        if pack.size >= self._pack_size:
            pack.seal()


class _OpenPack:
    """A pack that grows under a temporary name."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._writer = blobs.open_writer()
        self._objects: list[tuple[bytes, int]] = []
        self.size = 0
        self.is_sealed = False

    def add(self, digest: bytes, stored: Data) -> None:
        if not self._objects:
            self._append(PACK_MAGIC)
        self._append(stored)
        self._objects.append((digest, len(stored)))

    def seal(self) -> None:
        if not self.is_sealed:
            self._writer.seal()
            self.is_sealed = True

    def publish(self) -> tuple[str, bytes]:
        """Make the pack visible; its name and index."""
        index = INDEX_MAGIC + encode_parts(self._objects)
        name = digest_of(index).hex()
        self._writer.publish(pack_key(name))
        self._blobs.put_if_absent(index_key(name), index)
        return name, index

    def discard(self) -> None:
        self._writer.discard()

    def _append(self, data: Data) -> None:
        self._writer.append(data)
        self.size += len(data)
