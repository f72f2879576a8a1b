"""The right to collect a store, or to pack it: held by one process at a time."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator

from penstock.core.errors import ConflictError
from penstock.core.ids import new_id
from penstock.governance.upkeep.service import UpkeepService
from penstock.governance.upkeep.types import Freed
from penstock.storage.objects.collection.types import Renew

TTL_S = 60.0
_RENEW_S = TTL_S / 4


class Right:
    """The lease of one collection."""

    def __init__(self, upkeep: UpkeepService) -> None:
        self._upkeep = upkeep
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{new_id()}"
        self._fence = 0
        self._renewed_at = float("-inf")

    def renew(self) -> None:
        """Hold it a while longer.

        Raises:
            ConflictError: somebody else has it.
        """
        if time.monotonic() - self._renewed_at < _RENEW_S:
            return
        lease = self._upkeep.begin_collection(self._holder, TTL_S)
        if lease is None or (self._fence and lease.fence != self._fence):
            raise ConflictError("somebody else collects this store just now", hint="try again when that is done")
        self._fence = lease.fence
        self._renewed_at = time.monotonic()

    def end(self, freed: Freed) -> None:
        """Give it back."""
        self._upkeep.end_collection(self._fence, freed)


@contextlib.contextmanager
def holding(upkeep: UpkeepService, store: str) -> Iterator[tuple[Renew, list[Freed]]]:
    """Hold the right to collect; what is put into the list is written into the audit log at the end."""
    right = Right(upkeep)
    right.renew()
    done: list[Freed] = []
    try:
        yield right.renew, done
    finally:
        nothing = Freed(store=store, condemned=0, deleted=0, freed=0)
        with contextlib.suppress(ConflictError):  # it took so long that the right is lost; the next one goes on
            right.end(done[0] if done else nothing)
