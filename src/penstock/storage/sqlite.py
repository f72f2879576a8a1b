"""SQLite: one file, opened by any number of processes, in write-ahead mode and with full syncs."""

import sqlite3
import time
from contextlib import AbstractContextManager
from types import TracebackType

from sqlalchemy import URL, Connection, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from penstock.core.errors import PenstockError, StorageFullError, UnavailableError
from penstock.storage.dialect import PATIENCE_S
from penstock.storage.records import as_sqlalchemy, driver_of

LOG_PAGES = 4_000  # of the log, after which they go to the file: those that changed again and again in it go there once
LOG_LIMIT_BYTES = 64 << 20  # what is left of the log's file once a long reader, who made it grow, has ended
_PRAGMAS = (
    f"PRAGMA busy_timeout = {PATIENCE_S * 1000}",
    "PRAGMA synchronous = FULL",  # a commit that was answered survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA wal_autocheckpoint = {LOG_PAGES}",
    f"PRAGMA journal_size_limit = {LOG_LIMIT_BYTES}",
)


class SqliteDialect:
    """An SQLite file."""

    is_remote = False

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url)
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)

    def insert(self, table: Table) -> sqlite.Insert:
        """SQLite's own INSERT."""
        return sqlite.insert(table)

    def open_for_read(self) -> Connection:
        """A connection whose transactions see the file as it was at their first statement."""
        return self.engine.connect()

    def open_for_write(self, *, waits: bool = True) -> Connection:
        """A connection whose transactions begin with the write lock."""
        connection = self.engine.connect().execution_options(penstock_begin="")
        if not waits:
            connection.detach()  # no other user of the pool may be so impatient
            _run(connection, "PRAGMA busy_timeout = 0")
        connection.begin()  # SQLAlchemy's own; what it stands for begins and ends with each `write`
        return connection

    def write(self, connection: Connection) -> AbstractContextManager[object]:
        """A transaction; a commit in the same process is never in doubt."""
        return _Write(connection)

    def migrate(self, connection: Connection) -> AbstractContextManager[object]:
        """A transaction; SQLite changes a schema like any row."""
        return _Write(connection)

    def is_unreachable(self, error: Exception) -> bool:
        """A file is never away."""
        return False

    def explain(self, error: Exception) -> PenstockError | None:
        """What SQLite or the file system refuses, in the words of this project."""
        text = str(error.orig if isinstance(error, DBAPIError) else error)
        if isinstance(error, DBAPIError | OSError) and ("full" in text or "No space left" in text):
            return StorageFullError(
                "there is no room left where the database lives", hint="free some space and try again"
            )
        if isinstance(error, OSError):
            return UnavailableError(f"the database cannot write just now ({text})")
        if isinstance(error, PoolTimeoutError) or (isinstance(error, OperationalError) and not _is_mistake(error)):
            return UnavailableError(f"the database cannot answer just now ({text})")
        return None


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions late and end them early
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    _switch_to_wal(connection)


def _is_mistake(error: OperationalError) -> bool:
    """Whether the statement is wrong, rather than the file or the moment: no such column, and the like."""
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Processes that open a new file at the same time meet here, and SQLite does not wait by itself for this one."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin(connection: Connection) -> None:
    text = connection.get_execution_options().get("penstock_begin", "BEGIN")
    if text:
        _run(connection, text)


class _Write:
    """A transaction begun and ended on the driver: SQLAlchemy's part in that would be a third of a small write."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = driver_of(connection)

    def __enter__(self) -> None:
        # A lock taken at the first statement cannot fail half-way for a reader that wants to become a writer.
        self._run("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._run("COMMIT")
        finally:
            if self._driver.in_transaction:  # it failed, and SQLite has not ended it by itself
                self._driver.rollback()

    def _run(self, text: str) -> None:
        try:
            self._driver.execute(text)
        except sqlite3.Error as error:
            raise as_sqlalchemy(error, text, self._connection.dialect) from error


def _run(connection: Connection, text: str) -> None:
    try:
        driver_of(connection).execute(text)
    except sqlite3.Error as error:
        raise as_sqlalchemy(error, text, connection.dialect) from error
