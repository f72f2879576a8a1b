"""PostgreSQL through psycopg 3, for several servers on one database."""

import contextlib
import errno
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import URL, Connection, Table, create_engine, delete, event, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from penstock.core.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    PenstockError,
    StorageFullError,
    UnavailableError,
)
from penstock.core.ids import new_id
from penstock.storage.commit_marks import commit_marks
from penstock.storage.dialect import PATIENCE_S

log = logging.getLogger(__name__)

_WRITE_LOCK = 0x70656E73746F636B  # the letters of "penstock"
_TAKE_TURN = text(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK}), current_setting('transaction_read_only') AS read_only")
_STATEMENT_S = 60
_SETTINGS = {
    "lock_timeout": f"{PATIENCE_S}s",
    "statement_timeout": f"{_STATEMENT_S}s",
    # A server that stands still in the middle of a write loses its turn before the others lose their patience.
    "idle_in_transaction_session_timeout": f"{PATIENCE_S * 2 // 3}s",
}
_CONNECT: dict[str, Any] = {
    "connect_timeout": 10,
    "application_name": "penstock",
    "client_encoding": "utf8",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds until bytes that nobody acknowledges break the connection
}
_NO_LIMITS = text("SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)")
_SETUP = text("SELECT current_setting('server_encoding') AS encoding, ('B' < 'a' AND 'z' < 'é') AS by_code_point")
_MARKS_KEPT_FOR = timedelta(days=7)
_LOST = "the database cannot be reached just now"
_ENDED = ("08", "25P03", "57P01", "57P02", "57P03")  # SQLSTATEs with which the database ends a connection
_REASONS = {  # by SQLSTATE
    "25P03": "this write stood still for too long, and others had their turn",
    "40001": "the database was at odds with another write",
    "40P01": "the database was at odds with another write",
    "53200": "the database has no memory left",
    "53300": "the database has no connection left",
    "55P03": f"another write held the database for more than {PATIENCE_S} s",
    "57014": f"the database took longer than {_STATEMENT_S} s over one statement",
}


class PostgresDialect:
    """A PostgreSQL database.

    Writers take turns by an advisory lock that is taken before the first statement of a group and ends with its
    transaction, as SQLite's own lock does: no verb meets another one's half-done work, nothing can deadlock, and the
    audit chain has one head. The group commit keeps this fast: while one server commits, the next one's group grows.
    """

    is_remote = True

    def __init__(self, url: URL) -> None:
        url = url.set(drivername="postgresql+psycopg")
        self.engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={name: value for name, value in _CONNECT.items() if name not in url.query},
        )
        event.listen(self.engine, "connect", _prepare)
        self._writer = new_id()
        self._commits = 0  # that this writer began

    def insert(self, table: Table) -> postgresql.Insert:
        """PostgreSQL's own INSERT."""
        return postgresql.insert(table)

    def open_for_read(self) -> Connection:
        """A connection whose transactions see the database as it was at their first statement, and cannot write."""
        return self.engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def open_for_write(self, *, waits: bool = True) -> Connection:
        """A connection whose statements see all that was committed before them."""
        return self.engine.connect()

    @contextlib.contextmanager
    def write(self, connection: Connection) -> Iterator[None]:
        """A transaction under the write lock. When its commit is not answered, the database is asked what became of it.

        Raises:
            OutcomeUnknownError: the database could not be asked for as long as we are patient.
        """
        transaction = connection.begin()
        try:
            _take_turn(connection)
            yield
            number = self._mark(connection)
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            if not self._was_committed(number, error):
                raise
            with contextlib.suppress(SQLAlchemyError):
                transaction.rollback()  # for the connection's own books: on its line there is nothing any more
            log.warning("a commit was not answered, and had succeeded", extra={"reason": str(error.orig)})

    @contextlib.contextmanager
    def migrate(self, connection: Connection) -> Iterator[None]:
        """A transaction under the write lock that no timeout ends; others wait for it.

        Raises:
            InvalidInputError: the database does not keep text as UTF-8, or sorts it by a language's rules.
        """
        with connection.begin():
            connection.execute(_NO_LIMITS)
            _take_turn(connection)
            _check_setup(connection)
            yield

    def is_unreachable(self, error: Exception) -> bool:
        """Whether no connection can be had, or the one there was broke."""
        if isinstance(error, PoolTimeoutError):
            return True
        if not isinstance(error, DBAPIError):
            return False
        return error.connection_invalidated or _never_connected(error) or _state(error).startswith(_ENDED)

    def explain(self, error: Exception) -> PenstockError | None:
        """What PostgreSQL refuses, in the words of this project; its own may name files and statements."""
        if isinstance(error, OSError):
            full = error.errno == errno.ENOSPC
            return _no_room() if full else UnavailableError(f"the database cannot write just now ({error.strerror})")
        if not isinstance(error, DBAPIError):
            return UnavailableError(_LOST) if self.is_unreachable(error) else None
        state = _state(error)
        if state == "53100":
            return _no_room()
        if isinstance(error, DataError):
            return InvalidInputError(
                "the database cannot keep one of the values", hint="it is too long or too large, or holds a NUL"
            )
        if state in _REASONS:
            return UnavailableError(_REASONS[state])
        if self.is_unreachable(error):
            return UnavailableError(_LOST)
        if isinstance(error, OperationalError | InterfaceError):
            return UnavailableError("the database cannot answer just now")
        return None

    def _mark(self, connection: Connection) -> int:
        """Leave the number of this group in the database; it is there if and only if the group was committed."""
        self._commits += 1
        now = datetime.now(UTC)
        if self._commits == 1:
            connection.execute(delete(commit_marks).where(commit_marks.c.at < now - _MARKS_KEPT_FOR))
        row = {"writer": self._writer, "number": self._commits, "at": now}
        connection.execute(_PUT_MARK, row)
        return self._commits

    def _was_committed(self, number: int, lost: DBAPIError) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.engine.begin() as connection:
                    _take_turn(connection)  # held by the transaction in doubt for as long as it goes on
                    mark = select(commit_marks.c.number).where(commit_marks.c.writer == self._writer)
                    return connection.execute(mark).scalar_one_or_none() == number
            except SQLAlchemyError as error:
                if time.monotonic() > deadline:
                    raise OutcomeUnknownError(
                        "the database broke off while it committed this, so it may or may not have happened",
                        hint="look before you repeat it, or repeat it with the same idempotency key",
                    ) from lost
                log.info("the database cannot say yet what became of a commit", extra={"reason": str(error)})
                time.sleep(0.2)


_PUT_MARK = postgresql.insert(commit_marks)
_PUT_MARK = _PUT_MARK.on_conflict_do_update(
    index_elements=["writer"], set_={"number": _PUT_MARK.excluded.number, "at": _PUT_MARK.excluded.at}
)


def _prepare(connection: Any, _record: object) -> None:
    """Timeouts of our own, and commits that are on disk before they are answered."""
    with connection.cursor() as cursor:
        for name, value in _SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _take_turn(connection: Connection) -> None:
    """Wait for the write lock; it is let go with the transaction."""
    if connection.execute(_TAKE_TURN).one().read_only == "on":
        raise UnavailableError("the database takes no writes just now: it is a standby, or was told to take none")


def _check_setup(connection: Connection) -> None:
    setup = connection.execute(_SETUP).one()
    if setup.encoding != "UTF8" or not setup.by_code_point:
        name = connection.engine.url.database
        raise InvalidInputError(
            f"the database {name!r} has encoding {setup.encoding}, or sorts text by the rules of a language",
            hint=f"make it anew: CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'",
        )


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _never_connected(error: DBAPIError) -> bool:
    """Whether the driver failed before there was any statement to fail."""
    return isinstance(error, OperationalError | InterfaceError) and error.statement is None


def _no_room() -> StorageFullError:
    return StorageFullError("there is no room left where the database lives", hint="free some space and try again")
