"""What a collection tells."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from msgspec import Struct


class Amount(Struct, frozen=True):
    """Some objects and the bytes they take."""

    objects: int = 0
    size: int = 0  # bytes

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.objects + other.objects, self.size + other.size)


class CollectionReport(Struct, frozen=True, kw_only=True):
    """What a collection found and did; with `dry_run`, what it would do."""

    dry_run: bool
    kept: Amount  # that something leads to
    condemned: Amount  # that nothing leads to any more, and did so far
    spared: int  # objects that were condemned and are needed again
    waiting: Amount  # condemned, and not yet to be deleted
    next_at: datetime | None  # when the first of those may go
    held_by: tuple[str, ...]  # processes at work for whom some of those wait longer
    deleted: Amount
    rewritten: int  # packs, of which a part was kept
    packed: int = 0  # loose objects that were put into packs afterwards
    problems: tuple[str, ...]  # what could not be judged; nothing of it was touched
    judged: bool  # False: something that leads on cannot be read, so nothing was condemned or deleted


Renew: TypeAlias = Callable[[], None]  # raises ConflictError when somebody else collects by now
