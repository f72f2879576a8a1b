"""Whether a server is ready for requests: the database takes writes and has our schema, and there is room."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from pathlib import Path

from penstock.core.errors import PenstockError
from penstock.core.health import Problem, Readiness, check_disk, find_out
from penstock.core.ids import new_id
from penstock.storage import migrations
from penstock.storage.database import Database
from penstock.storage.leases import Lease, acquire_lease

KEPT_S = 1.0  # a look writes a row; who asks more often gets the last answer
WRITE_TIMEOUT_S = 3.0
_LEASE = "ready"  # the row that is written; nobody holds anything under it


class ServerReadiness:
    """Looks whether a server can work. Safe to share between threads.

    Args:
        db: the database.
        home: the folder of its state.
    """

    def __init__(self, db: Database, home: Path) -> None:
        self._db = db
        self._checks = (self._check_database, self._check_schema, partial(check_disk, home))
        self._lock = threading.Lock()
        self._last: tuple[float, Readiness] | None = None
        self._writing: Future[Lease | None] | None = None

    def look(self) -> Readiness:
        """What holds now, or held within the last second."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > KEPT_S:
                self._last = (time.monotonic(), find_out(self._checks))
            return self._last[1]

    def _check_database(self) -> Iterator[Problem]:
        """Write a row, as any change would; one look at a time waits for its write."""
        if self._writing is None or self._writing.done():
            self._writing = self._db.submit(lambda tx: acquire_lease(tx, _LEASE, new_id(), timedelta(microseconds=1)))
        try:
            self._writing.result(timeout=WRITE_TIMEOUT_S)
        except TimeoutError:
            waiting = self._db.waiting_writes()
            yield Problem("database", f"no write was done for {WRITE_TIMEOUT_S:g} s; {waiting} are waiting")
        except PenstockError as error:
            yield Problem("database", f"it takes no writes: {error.message}")

    def _check_schema(self) -> Iterator[Problem]:
        try:
            with self._db.snapshot() as tx:
                held, known = migrations.read_version(tx.connection), migrations.head()
        except PenstockError as error:
            yield Problem("database", f"it cannot be read: {error.message}")
            return
        if held != known:
            yield Problem("schema", f"the database has schema {held}, and this penstock works with {known}")
