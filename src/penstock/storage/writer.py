"""The one writer of a process: callers queue up, one transaction commits for all that waited, then all are answered."""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from penstock.core import failpoints
from penstock.core.errors import OutcomeUnknownError, UnavailableError
from penstock.core.identity import Actor
from penstock.storage.dialect import Dialect
from penstock.storage.records import RecordKind
from penstock.storage.transaction import Transaction

log = logging.getLogger(__name__)

Work = Callable[[Transaction], Any]
AfterCommit = Callable[[], None]
Finish = Callable[[Connection, datetime, Sequence[Transaction]], AfterCommit | None]
GROUP_LIMIT = 2_000  # jobs; bounds how long the first caller of a group waits for the last
QUEUE_LIMIT = 50_000  # jobs; beyond this, waiting would only make it worse


class Job(Struct, eq=False):
    """What one caller asked for: a function of a transaction, or a record of some kind."""

    future: "Future[Any] | asyncio.Future[Any]"
    actor: Actor
    work: Work | None = None
    kind: RecordKind[Any] | None = None
    record: Any = None

    def begin(self) -> bool:
        """Whether the caller still waits; from now on nobody can give up, so that everyone is answered."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()


Done = tuple[Job, Any, Exception | None]  # a job with its result, or with the error of its own making


class _GroupLostError(Exception):
    """The database ended the whole transaction by itself; nobody of this group was answered yet."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Writer:
    """Applies queued jobs in groups on a thread of its own.

    Each function runs in a savepoint, so that one caller's failure leaves the others alone; the records of one kind are
    applied together, before the functions. An answer is given only after the commit.
    """

    def __init__(self, dialect: Dialect, now: Callable[[], datetime], finish: Finish) -> None:
        self._dialect = dialect
        self._now = now
        self._finish = finish
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._connection: Connection | None = None  # kept open from group to group

    def submit(self, job: Job) -> None:
        """Queue a job; its future is resolved after the commit.

        Raises:
            UnavailableError: too many writes wait already, or the database is closed.
        """
        with self._lock:
            if self._closed:
                raise UnavailableError("the database is closed")
            if self._jobs.qsize() >= QUEUE_LIMIT:
                raise UnavailableError(f"more than {QUEUE_LIMIT} writes wait already", hint="try again in a moment")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penstock-writer", daemon=True)
                self._thread.start()
            self._jobs.put(job)

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return self._jobs.qsize()

    def is_own_thread(self) -> bool:
        """Whether the caller runs inside a write; waiting for another one there would never end."""
        return self._thread is threading.current_thread()

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._lock:
            self._closed = True
            self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            group = [job for job in group if job.begin()]
            if group:
                self._write(group)
        self._drop_connection()

    def _next_group(self) -> list[Job] | None:
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < GROUP_LIMIT:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # keep the end mark for the next round
                break
            group.append(job)
        return group

    def _write(self, group: list[Job], *, may_repeat: bool = True) -> None:
        try:
            done, after_commit = self._commit(group)
        except Exception as caught:  # the outermost loop: no caller may wait for ever
            error = caught.cause if isinstance(caught, _GroupLostError) else caught
            for kind in {id(job.kind): job.kind for job in group if job.kind is not None}.values():
                kind.forget()
            self._drop_connection()
            is_unreachable = self._dialect.is_unreachable(error)
            if is_unreachable and may_repeat:  # perhaps only the connection broke; nothing was committed on it
                self._write(group, may_repeat=False)
                return
            if len(group) == 1 or is_unreachable or isinstance(error, OutcomeUnknownError):
                log.warning("writes failed", extra={"jobs": len(group)}, exc_info=error)
                self._answer([(job, None, error) for job in group])
                return
            # One poisoned job must not fail its neighbours: nothing was committed, so each may run again alone.
            log.info("a group of writes is repeated one by one", extra={"jobs": len(group), "reason": str(error)})
            for job in group:
                self._write([job])
            return
        _run_after_commit(after_commit)
        self._answer(done)

    def _commit(self, group: list[Job]) -> tuple[list[Done], AfterCommit | None]:
        """Apply a group and commit it; returns each job with its result or its own error, and what is left to do."""
        connection = self._connection or self._dialect.open_for_write()
        self._connection = connection
        try:
            with self._dialect.write(connection):
                now = self._now()  # after the wait for another process's lock, so that moments follow the commits
                transactions = [Transaction(connection, job.actor, now) for job in group]
                done = self._apply(group, transactions)
                kept = [tx for tx, (_, _, error) in zip(transactions, done, strict=True) if error is None]
                after_commit = self._finish(connection, now, kept)
                failpoints.hit("storage.writer.before_commit")
            return done, after_commit
        except _OnlyJobError as only:
            return [(group[0], None, only.error)], None

    def _apply(self, group: list[Job], transactions: list[Transaction]) -> list[Done]:
        done: list[Done | None] = [None] * len(group)
        for places in _places_by_kind(group):
            kind: RecordKind[Any] = group[places[0]].kind  # type: ignore[assignment]  # they all have this one
            outcomes = kind.apply([(transactions[place], group[place].record) for place in places])
            for place, outcome in zip(places, outcomes, strict=True):
                error = outcome if isinstance(outcome, Exception) else None
                done[place] = (group[place], None if error else outcome, error)
        for place, job in enumerate(group):
            if job.work is not None:
                done[place] = (job, *self._run_work(job.work, transactions[place], alone=len(group) == 1))
        return [each for each in done if each is not None]

    def _run_work(self, work: Work, transaction: Transaction, *, alone: bool) -> tuple[Any, Exception | None]:
        if alone:
            try:
                return work(transaction), None
            except Exception as error:
                raise _OnlyJobError(error) from error
        savepoint = transaction.connection.begin_nested()
        try:
            result = work(transaction)
        except Exception as error:  # the caller's own; it is answered with it
            _roll_back(savepoint, error)
            return None, error
        savepoint.commit()
        return result, None

    def _answer(self, done: Sequence[Done]) -> None:
        """Tell every caller; those of one event loop are woken together."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any, Exception | None]]] = {}
        for job, result, error in done:
            told = None if error is None else self._explain(error)
            if not isinstance(job.future, Future):
                by_loop.setdefault(job.future.get_loop(), []).append((job.future, result, told))
            elif told is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(told)
        for loop, answers in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits there any more
                loop.call_soon_threadsafe(_settle, answers)

    def _explain(self, error: Exception) -> Exception:
        """A database's own failure in the words of this project; anything else as it is."""
        explained = self._dialect.explain(error)
        if explained is None:
            return error
        explained.__cause__ = error
        return explained

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()


def _places_by_kind(group: list[Job]) -> list[list[int]]:
    places: dict[int, list[int]] = {}
    for place, job in enumerate(group):
        if job.kind is not None:
            places.setdefault(id(job.kind), []).append(place)
    return list(places.values())


class _OnlyJobError(Exception):
    """The only job of a group failed, so that the whole transaction rolls back."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _roll_back(savepoint: Any, error: Exception) -> None:
    try:
        savepoint.rollback()
    except SQLAlchemyError:  # SQLite ends the whole transaction by itself when the disk is full
        raise _GroupLostError(error) from error


def _run_after_commit(after_commit: AfterCommit | None) -> None:
    """What is committed stays so: a failure from here on is told, and never makes a write run again."""
    try:
        failpoints.hit("storage.writer.after_commit")
        if after_commit is not None:
            after_commit()
    except Exception:
        log.exception("the writes were committed, and what should follow them failed")


def _settle(answers: Sequence[tuple["asyncio.Future[Any]", Any, Exception | None]]) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
