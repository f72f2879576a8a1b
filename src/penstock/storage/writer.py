"""The one writer of a process: callers queue up, one transaction commits for all that waited, then all are answered."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from penstock.core import failpoints
from penstock.core.errors import PenstockError, StorageFullError, UnavailableError
from penstock.core.identity import Actor
from penstock.storage.transaction import Transaction

log = logging.getLogger(__name__)

Work = Callable[[Transaction], Any]
AfterCommit = Callable[[], None]
Finish = Callable[[Connection, datetime, Sequence[Transaction]], AfterCommit | None]
Batch = tuple[Executable, Sequence[dict[str, Any]]]  # a prepared statement and the rows for it
GROUP_LIMIT = 2_000  # jobs; bounds how long the first caller of a group waits for the last


class Job(Struct):
    """What one caller asked for: a function of a transaction, or rows for prepared statements."""

    future: "Future[Any]"
    actor: Actor
    work: Work | None = None
    batches: Sequence[Batch] = ()


Done = tuple[Job, Any, Exception | None]  # a job with its result, or with the error of its own making


class _GroupLostError(Exception):
    """The database ended the whole transaction by itself; nobody of this group was answered yet."""


class Writer:
    """Applies queued jobs in groups on a thread of its own.

    Each function runs in a savepoint, so that one caller's failure leaves the others alone; rows of the same statement
    are applied with one `executemany`. An answer is given only after the commit.
    """

    def __init__(self, open_connection: Callable[[], Connection], now: Callable[[], datetime], finish: Finish) -> None:
        self._open_connection = open_connection
        self._now = now
        self._finish = finish
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, job: Job) -> None:
        """Queue a job; its future is resolved after the commit."""
        with self._lock:
            if self._closed:
                raise UnavailableError("the database is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penstock-writer", daemon=True)
                self._thread.start()
            self._jobs.put(job)

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
            # A caller who gave up is passed over; from here on nobody can, so that every other one is answered.
            group = [job for job in group if job.future.set_running_or_notify_cancel()]
            if group:
                self._write(group)

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

    def _write(self, group: list[Job]) -> None:
        try:
            done, after_commit = self._commit(group)
        except Exception as error:  # the outermost loop: no caller may wait for ever
            if len(group) == 1:
                log.warning("a write failed", exc_info=error)
                _refuse(group[0], error)
                return
            # One poisoned job must not fail its neighbours: nothing was committed, so each may run again alone.
            log.info("a group of writes is repeated one by one", extra={"jobs": len(group), "reason": str(error)})
            for job in group:
                self._write([job])
            return
        _run_after_commit(after_commit)
        for job, result, own_error in done:
            if own_error is None:
                job.future.set_result(result)
            else:
                _refuse(job, own_error)

    def _commit(self, group: list[Job]) -> tuple[list[Done], AfterCommit | None]:
        """Apply a group and commit it; returns each job with its result or its own error, and what is left to do."""
        connection = self._open_connection()
        try:
            with connection.begin():
                now = self._now()  # after the wait for another process's lock, so that moments follow the commits
                self._apply_rows(connection, group)
                done: list[Done] = []
                transactions = []
                for job in group:
                    if job.work is None:
                        done.append((job, sum(len(rows) for _, rows in job.batches), None))
                        continue
                    transaction = Transaction(connection, job.actor, now)
                    result, error = self._apply(job.work, transaction, alone=len(group) == 1)
                    done.append((job, result, error))
                    if error is None:
                        transactions.append(transaction)
                after_commit = self._finish(connection, now, transactions)
                failpoints.hit("storage.writer.before_commit")
            return done, after_commit
        except _OnlyJobError as only:
            return [(group[0], None, only.error)], None
        finally:
            connection.close()

    def _apply_rows(self, connection: Connection, group: list[Job]) -> None:
        batches: dict[int, tuple[Executable, list[dict[str, Any]]]] = {}
        for job in group:
            for statement, rows in job.batches:
                batches.setdefault(id(statement), (statement, []))[1].extend(rows)
        for statement, rows in batches.values():
            if rows:
                connection.execute(statement, rows)

    def _apply(self, work: Work, transaction: Transaction, *, alone: bool) -> tuple[Any, Exception | None]:
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


class _OnlyJobError(Exception):
    """The only job of a group failed, so that the whole transaction rolls back."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _roll_back(savepoint: Any, error: Exception) -> None:
    try:
        savepoint.rollback()
    except SQLAlchemyError:  # SQLite ends the whole transaction by itself when the disk is full
        raise _GroupLostError(str(error)) from error


def _run_after_commit(after_commit: AfterCommit | None) -> None:
    """What is committed stays so: a failure from here on is told, and never makes a write run again."""
    try:
        failpoints.hit("storage.writer.after_commit")
        if after_commit is not None:
            after_commit()
    except Exception:
        log.exception("the writes were committed, and what should follow them failed")


def _refuse(job: Job, error: Exception) -> None:
    job.future.set_exception(_explain(error))


def _explain(error: Exception) -> Exception:
    """A database's own failure in the words of this project; anything else as it is."""
    if isinstance(error, PenstockError) or not isinstance(error, (DBAPIError, OSError, _GroupLostError)):
        return error
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if "full" in text or "No space left" in text:
        refusal: PenstockError = StorageFullError(
            "there is no room left where the database lives", hint="free some space and try again"
        )
    elif isinstance(error, (OperationalError, OSError, _GroupLostError)):
        refusal = UnavailableError(f"the database cannot write just now ({text})")
    else:
        return error
    refusal.__cause__ = error
    return refusal
