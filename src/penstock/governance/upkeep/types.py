"""The records of upkeep."""

from msgspec import Struct

from penstock.core.ids import Digest, Ref


class Reference(Struct, frozen=True):
    """Something that needs an object."""

    owner: Ref
    digest: Digest


class Freed(Struct, frozen=True, kw_only=True):
    """What a collection did to a store, for the audit log."""

    store: str
    condemned: int  # objects that nothing needs any more
    deleted: int  # objects
    freed: int  # bytes
