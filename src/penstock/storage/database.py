"""The database: reads on a snapshot, writes through the one writer; SQLite and PostgreSQL from the same statements."""

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Insert, Table, make_url, tuple_
from sqlalchemy.exc import SQLAlchemyError

from penstock.core.clock import Clock, SystemClock
from penstock.core.errors import InvalidInputError
from penstock.core.identity import Actor, local_actor
from penstock.storage import migrations
from penstock.storage.dialect import Dialect
from penstock.storage.groups import Finish, Job
from penstock.storage.records import RecordKind
from penstock.storage.transaction import Transaction
from penstock.storage.writer import Writer

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_DIALECTS = {  # an engine that is not used takes longer to import than a small command to run
    "sqlite": ("penstock.storage.sqlite", "SqliteDialect"),
    "postgresql": ("penstock.storage.postgres", "PostgresDialect"),
    "postgres": ("penstock.storage.postgres", "PostgresDialect"),
}
_HINT = "use sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"


class Database:
    """One database, opened by one process.

    Verbs are functions of a transaction: `db.write(fn, *args)` runs one in the next group of writes and returns after
    its commit; `db.read(fn, *args)` runs one on a snapshot. Safe to use from several threads; several processes may
    open the same one, and take turns in writing to it.

    Args:
        url: SQLAlchemy's form, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`.
        clock: where `Transaction.now` comes from.
        actor: who acts when a call names nobody.
    """

    def __init__(self, url: str, *, clock: Clock | None = None, actor: Actor | None = None) -> None:
        self.url = url
        self.clock = clock or SystemClock()
        self.actor = actor or local_actor()
        self._dialect = _open_dialect(url)
        self.engine = self._dialect.engine
        self._writer = Writer(self._dialect, self.clock.now)
        self.waiting_writes = self._writer.waiting  # tells how many are queued and not begun

    def migrate(self) -> None:
        """Bring the schema up to date; refuses one that is newer than this program."""
        migrations.upgrade(self._dialect)

    def on_group(self, finish: Finish) -> None:
        """Name what runs last in each group of writes, before its commit: the ledger.

        What it returns is called after the commit.
        """
        self._writer.groups.finish = finish

    def write(self, fn: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a verb in a transaction and return its result after the commit, as this database's own actor.

        Raises:
            StorageFullError: no room left; nothing was changed.
            UnavailableError: the database cannot write just now; nothing was changed.
            OutcomeUnknownError: it broke off in the middle of the commit, and cannot be asked.
        """
        future: Future[R] = self.submit(lambda tx: fn(tx, *args, **kwargs))
        return future.result()

    def submit(self, work: Callable[[Transaction], R], *, actor: Actor | None = None) -> "Future[R]":
        """Queue a verb; the future is resolved after the commit of its group."""
        if self._writer.is_writing_here():
            raise RuntimeError("a write was started inside a write; join the running transaction instead")
        future: Future[R] = Future()
        self._writer.submit(Job(future, actor or self.actor, work=work))
        return future

    def submit_async(self, work: Callable[[Transaction], R], *, actor: Actor | None = None) -> "asyncio.Future[R]":
        """As `submit`, for a caller on an event loop: await what it returns."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(future, actor or self.actor, work=work))
        return future

    def add(self, kind: RecordKind[T], record: T, *, actor: Actor | None = None) -> "Future[Any]":
        """Queue a record; the future holds what its kind gives for it, after the commit."""
        future: Future[Any] = Future()
        self._writer.submit(Job(future, actor or self.actor, kind=kind, record=record))
        return future

    def add_async(self, kind: RecordKind[T], record: T, *, actor: Actor | None = None) -> "asyncio.Future[Any]":
        """As `add`, for a caller on an event loop: await what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._writer.submit_record(Job(future, actor or self.actor, kind=kind, record=record), loop)
        return future

    def read(self, fn: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a verb that only reads, on a snapshot."""
        with self.snapshot() as tx:
            return fn(tx, *args, **kwargs)

    @contextlib.contextmanager
    def snapshot(self, actor: Actor | None = None) -> Iterator[Transaction]:
        """A transaction for reading; whatever is done in it is rolled back.

        Raises:
            UnavailableError: the database cannot be read just now.
        """
        try:
            with self._dialect.open_for_read() as connection, connection.begin() as transaction:
                yield Transaction(connection, actor or self.actor, self.clock.now())
                transaction.rollback()
        except SQLAlchemyError as error:
            explained = self._dialect.explain(error)
            if explained is None:
                raise
            raise explained from error

    def upsert(
        self, table: Table, *, keys: Sequence[str], update: Sequence[str], newest_by: Sequence[str] = ()
    ) -> Insert:
        """`INSERT ... ON CONFLICT (keys) DO UPDATE SET update`, or DO NOTHING when `update` is empty.

        With `newest_by`, a row gives way only to one that is greater in these columns, compared in their order.
        """
        statement = self._dialect.insert(table)
        if not update:
            return statement.on_conflict_do_nothing(index_elements=list(keys))
        held, offered = (tuple_(*(columns[name] for name in newest_by)) for columns in (table.c, statement.excluded))
        return statement.on_conflict_do_update(
            index_elements=list(keys),
            set_={name: statement.excluded[name] for name in update},
            where=offered > held if newest_by else None,
        )

    def close(self) -> None:
        """Finish the queued writes and close every connection."""
        self._writer.close()
        self.engine.dispose()


def _open_dialect(url: str) -> Dialect:
    try:
        parsed = make_url(url)
        home = _DIALECTS.get(parsed.get_backend_name())
        if home is None:
            raise InvalidInputError(f"{url!r} names no database that can be opened", hint=_HINT)
        open_dialect: Callable[[URL], Dialect] = getattr(importlib.import_module(home[0]), home[1])
        return open_dialect(parsed)
    except ImportError as error:
        raise InvalidInputError(
            f"the driver of {url!r} is not installed", hint="pip install 'penstock[postgres]'"
        ) from error
    except (SQLAlchemyError, ValueError, TypeError) as error:
        raise InvalidInputError(f"{url!r} names no database that can be opened: {error}", hint=_HINT) from error
