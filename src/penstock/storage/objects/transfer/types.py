"""What is told about a transfer, while it goes on and at its end."""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct


class Transferred(Struct, frozen=True, kw_only=True):
    """What a transfer did."""

    objects: int  # that the roots need
    present: int  # of those, how many were there already
    packs: int  # that were written
    size: int  # bytes of the packs that were written
    held_by: tuple[str, ...] = ()  # the packs of the target that hold what the roots need


class Progress(Struct, frozen=True, kw_only=True):
    """How far a transfer is."""

    done: int  # bytes
    total: int


Tell: TypeAlias = Callable[[Progress], object]
