"""A stored result, and the port of the files that store one kind of value."""

from typing import Any, Protocol

from blake3 import blake3
from msgspec import Struct

from penstock.core import codec
from penstock.core.errors import CorruptDataError
from penstock.core.ids import Digest
from penstock.storage.objects.object_store import ObjectStore


class StoredValue(Struct, frozen=True, kw_only=True):
    """Where a value lies, and what is needed to read it back."""

    kind: str  # names the file that reads it
    digest: Digest | None = None  # of its object, None for a container
    type: str = ""  # module:name of its class, where reading it needs the class
    items: tuple["StoredValue", ...] = ()  # what a container holds
    names: tuple[str, ...] = ()  # the keys of a dict, in order
    about: str = ""  # for people: 12000 rows, 8 columns

    @property
    def key(self) -> Digest:
        """The digest of its object.

        Raises:
            CorruptDataError: it has none, though its kind asks for one.
        """
        if self.digest is None:
            raise CorruptDataError(f"a stored value of kind {self.kind!r} names no object")
        return self.digest

    @property
    def identity(self) -> str:
        """Equal for equal values; what a step's key holds for an input."""
        if self.digest is not None:
            return f"{self.kind}:{self.digest}"
        return blake3(codec.encode([self.kind, self.names, [item.identity for item in self.items]])).hexdigest()

    @property
    def digests(self) -> frozenset[Digest]:
        """The objects it needs."""
        own = frozenset() if self.digest is None else frozenset((self.digest,))
        return own.union(*(item.digests for item in self.items))


class ValueKind(Protocol):
    """What a module that stores one kind of value offers."""

    def write(self, value: Any, objects: ObjectStore) -> StoredValue:
        """Store a value; TypeError with the reason where it cannot be kept."""
        ...

    def read(self, stored: StoredValue, objects: ObjectStore) -> Any:
        """The value that `write` stored."""
        ...
