"""A pack that is made in memory from objects that are stored elsewhere: to be copied, packed, or moved."""

import os
from collections.abc import Callable

from msgspec import Struct

from penstock.core.errors import ConflictError
from penstock.storage.objects.blob_store import BlobStore, Data
from penstock.storage.objects.format import BYTES, digest_of, encode_parts
from penstock.storage.objects.pack import INDEX_MAGIC, PACK_MAGIC, index_key, pack_key

_DISTINCTION_SIZE = 16  # bytes of chance that give a pack another name


class BuiltPack(Struct, frozen=True):
    """A pack and its index, ready to be kept."""

    name: str
    body: Data
    index: bytes

    def publish(self, blobs: BlobStore) -> None:
        """Keep the pack, then the index; either may be there already.

        Raises:
            ConflictError: another pack lies under this name.
        """
        if not blobs.put_if_absent(pack_key(self.name), self.body):
            size = blobs.size(pack_key(self.name))
            if size != len(self.body):
                raise ConflictError(
                    f"pack {self.name} is there with {size} bytes instead of {len(self.body)}",
                    hint="run 'penstock verify --repair' on that store",
                )
        blobs.put_if_absent(index_key(self.name), self.index)


class PackBuilder:
    """Gathers stored objects; for one thread."""

    def __init__(self) -> None:
        self._parts: list[tuple[bytes, int]] = []
        self._body = bytearray(PACK_MAGIC)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self._body)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not self._parts

    def add(self, digest: bytes, stored: Data) -> None:
        """Take an object, with its header, as it is stored; it was checked before."""
        self._parts.append((digest, len(stored)))
        self._body += stored

    def build(self, allows_name: Callable[[str], bool] = lambda name: True) -> BuiltPack:
        """The pack; the builder starts anew.

        Args:
            allows_name: whether the pack may have this name; else an object of chance gives it another.
        """
        index = INDEX_MAGIC + encode_parts(self._parts)
        if not allows_name(digest_of(index).hex()):
            stored = make_distinction()
            self.add(digest_of(stored), stored)
            index = INDEX_MAGIC + encode_parts(self._parts)
        built = BuiltPack(digest_of(index).hex(), self._body, index)
        self._parts, self._body = [], bytearray(PACK_MAGIC)
        return built


def make_distinction() -> bytes:
    """A stored object that no other pack has; nothing refers to it."""
    return BYTES + os.urandom(_DISTINCTION_SIZE)
