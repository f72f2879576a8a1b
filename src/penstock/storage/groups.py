"""One transaction for all that waited: applied, committed, and then everyone is answered."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from penstock.core import failpoints
from penstock.core.errors import OutcomeUnknownError
from penstock.core.identity import Actor
from penstock.storage.dialect import Dialect
from penstock.storage.records import RecordKind
from penstock.storage.transaction import Transaction

log = logging.getLogger(__name__)

Work = Callable[[Transaction], Any]
AfterCommit = Callable[[], None]
Finish = Callable[[Connection, datetime, Sequence[Transaction]], AfterCommit | None]
PACE_WEIGHT = 0.1  # of the newest transaction in the average
SETBACK_S = 0.01  # what a failure on an event loop adds to the pace: the next groups are the thread's


class Job(Struct, eq=False):
    """What one caller asked for: a function of a transaction, or a record of some kind."""

    future: "Future[Any] | asyncio.Future[Any]"
    actor: Actor
    work: Work | None = None
    kind: RecordKind[Any] | None = None
    record: Any = None

    @property
    def rows(self) -> int:
        """About how many rows a record is."""
        assert self.kind is not None
        return self.kind.count_rows(self.record)

    def begin(self) -> bool:
        """Whether the caller still waits; from now on nobody can give up, so that everyone is answered."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()


_Answer = tuple["Future[Any] | asyncio.Future[Any]", Any, Exception | None]
Done = tuple[Job, Any, Exception | None]  # a job with its result, or with the error of its own making


class _GroupLostError(Exception):
    """The database ended the whole transaction by itself; nobody of this group was answered yet."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Line:
    """A connection that is kept open from group to group."""

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open = open_connection
        self._held: Connection | None = None

    def get(self) -> Connection:
        """The connection; opened when there is none."""
        if self._held is None:
            self._held = self._open()
        return self._held

    def drop(self) -> None:
        """Close it; the next group opens another."""
        held, self._held = self._held, None
        if held is not None:
            with contextlib.suppress(SQLAlchemyError):
                held.close()


class GroupWriter:
    """Writes groups of jobs, one after the other.

    Each function runs in a savepoint, so that one caller's failure leaves the others alone; the records of one kind are
    applied together, before the functions. An answer is given only after the commit.
    """

    def __init__(self, dialect: Dialect, now: Callable[[], datetime], finish: Finish) -> None:
        self._dialect = dialect
        self._now = now
        self._finish = finish
        self.writing: threading.Thread | None = None  # who writes just now
        self.pace_s = 0.0  # how long a transaction takes, as a moving average
        self._told = ""  # why the last group failed, when it did

    def try_here(self, group: list[Job], line: Line) -> bool:
        """Write a group of the running event loop and answer it.

        After a failure of any kind nothing was committed, and nobody was answered.
        """
        try:
            done, after_commit = self._commit(group, line.get())
        except Exception as error:  # whoever writes the group next finds out what it means
            log.debug("a group of writes is left to the thread", extra={"jobs": len(group), "reason": str(error)})
            _forget(group)
            line.drop()
            self.pace_s += SETBACK_S
            return False
        self._told = ""
        _run_after_commit(after_commit)
        _settle([(job.future, result, error and self._explain(error)) for job, result, error in done])
        return True

    def write(self, group: list[Job], line: Line, *, may_repeat: bool = True) -> None:
        """Write a group and answer it, also where that fails."""
        try:
            done, after_commit = self._commit(group, line.get())
        except Exception as caught:  # the outermost loop: no caller may wait for ever
            error = caught.cause if isinstance(caught, _GroupLostError) else caught
            _forget(group)
            line.drop()
            is_unreachable = self._dialect.is_unreachable(error)
            if is_unreachable and may_repeat:  # perhaps only the connection broke; nothing was committed on it
                self.write(group, line, may_repeat=False)
                return
            if len(group) == 1 or is_unreachable or isinstance(error, OutcomeUnknownError):
                self._log_failure(group, error)
                self._answer([(job, None, error) for job in group])
                return
            # One poisoned job must not fail its neighbours: nothing was committed, so each may run again alone.
            log.info("a group of writes is repeated one by one", extra={"jobs": len(group), "reason": str(error)})
            for job in group:
                self.write([job], line)
            return
        self._told = ""
        _run_after_commit(after_commit)
        self._answer(done)

    def _commit(self, group: list[Job], connection: Connection) -> tuple[list[Done], AfterCommit | None]:
        """Apply a group and commit it; returns each job with its result or its own error, and what is left to do."""
        began = time.perf_counter()
        self.writing = threading.current_thread()
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
        finally:
            self.writing = None
            self.pace_s += (time.perf_counter() - began - self.pace_s) * PACE_WEIGHT

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
        by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
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

    def _log_failure(self, group: list[Job], error: Exception) -> None:
        """A full disk, or a database that is away, is told once until a write succeeds again; it is hit by each."""
        known = self._dialect.explain(error)
        fields = {"jobs": len(group), "reason": str(known or error)}
        if known is None or fields["reason"] != self._told:
            log.warning("writes failed", extra=fields, exc_info=None if known else error)
        self._told = str(fields["reason"])

    def _explain(self, error: Exception) -> Exception:
        """A database's own failure in the words of this project; anything else as it is."""
        explained = self._dialect.explain(error)
        if explained is None:
            return error
        explained.__cause__ = error
        return explained


def _forget(group: list[Job]) -> None:
    for kind in {id(job.kind): job.kind for job in group if job.kind is not None}.values():
        kind.forget()


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


def _settle(answers: Sequence[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
