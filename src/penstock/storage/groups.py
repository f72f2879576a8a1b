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
    """What one caller asked for: a function of a transaction, or a record of some kind; and what became of it."""

    future: "Future[Any] | asyncio.Future[Any]"
    actor: Actor
    work: Work | None = None
    kind: RecordKind[Any] | None = None
    record: Any = None
    tx: Transaction = None  # type: ignore[assignment]  # it has one whenever it is written
    result: Any = None
    error: Exception | None = None  # of its own making, or the group's

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

    def answer(self) -> None:
        """Tell the caller; on its event loop, where it has one."""
        if self.future.done():  # it has given up meanwhile
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


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

    def __init__(self, dialect: Dialect, now: Callable[[], datetime]) -> None:
        self._dialect = dialect
        self._now = now
        self.finish: Finish = _write_nothing  # the end of each group
        self.writing = 0  # the thread that writes just now
        self.pace_s = 0.0  # how long a transaction takes, as a moving average
        self._told = ""  # why the last group failed, when it did

    def try_here(self, group: list[Job], line: Line) -> bool:
        """Write a group of the running event loop and answer it.

        After a failure of any kind nothing was committed, and nobody was answered.
        """
        try:
            after_commit = self._commit(group, line.get())
        except Exception as error:  # whoever writes the group next finds out what it means
            log.debug("a group of writes is left to the thread", extra={"jobs": len(group), "reason": str(error)})
            _forget(group)
            line.drop()
            self.pace_s += SETBACK_S
            return False
        self._told = ""
        _run_after_commit(after_commit)
        self._explain_all(group)
        _answer_all(group)
        return True

    def write(self, group: list[Job], line: Line, *, may_repeat: bool = True) -> None:
        """Write a group and answer it, also where that fails."""
        try:
            after_commit = self._commit(group, line.get())
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
                for job in group:
                    job.error = error
                self._answer(group)
                return
            # One poisoned job must not fail its neighbours: nothing was committed, so each may run again alone.
            log.info("a group of writes is repeated one by one", extra={"jobs": len(group), "reason": str(error)})
            for job in group:
                self.write([job], line)
            return
        self._told = ""
        _run_after_commit(after_commit)
        self._answer(group)

    def _commit(self, group: list[Job], connection: Connection) -> AfterCommit | None:
        """Apply a group and commit it, and note in each job what became of it; returns what is left to do."""
        began = time.perf_counter()
        self.writing = threading.get_ident()
        try:
            with self._dialect.write(connection):
                now = self._now()  # after the wait for another process's lock, so that moments follow the commits
                for job in group:
                    job.tx, job.error = Transaction(connection, job.actor, now), None
                _apply(group)
                after_commit = self.finish(connection, now, [job.tx for job in group if job.error is None])
                failpoints.hit("storage.writer.before_commit")
            return after_commit
        except _OnlyJobError:
            return None
        finally:
            self.writing = 0
            self.pace_s += (time.perf_counter() - began - self.pace_s) * PACE_WEIGHT

    def _answer(self, group: list[Job]) -> None:
        """Tell every caller; those of one event loop are woken together."""
        self._explain_all(group)
        by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in group:
            if isinstance(job.future, Future):
                job.answer()
            else:
                by_loop.setdefault(job.future.get_loop(), []).append(job)
        for loop, jobs in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits there any more
                loop.call_soon_threadsafe(_answer_all, jobs)

    def _explain_all(self, group: list[Job]) -> None:
        """Put a database's own failure into the words of this project; anything else stays as it is."""
        for job in group:
            if job.error is not None and (explained := self._dialect.explain(job.error)) is not None:
                explained.__cause__ = job.error
                job.error = explained

    def _log_failure(self, group: list[Job], error: Exception) -> None:
        """A full disk, or a database that is away, is told once until a write succeeds again; it is hit by each."""
        known = self._dialect.explain(error)
        fields = {"jobs": len(group), "reason": str(known or error)}
        if known is None or fields["reason"] != self._told:
            log.warning("writes failed", extra=fields, exc_info=None if known else error)
        self._told = str(fields["reason"])


def _write_nothing(connection: Connection, now: datetime, transactions: Sequence[Transaction]) -> None:
    """The end of a group while no ledger is attached."""
    return None


def _forget(group: list[Job]) -> None:
    for kind in {id(job.kind): job.kind for job in group if job.kind is not None}.values():
        kind.forget()


class _OnlyJobError(Exception):
    """The only job of a group failed, so that the whole transaction rolls back."""


def _apply(group: list[Job]) -> None:
    by_kind: dict[RecordKind[Any], list[Job]] = {}
    for job in group:
        if job.kind is not None:
            by_kind.setdefault(job.kind, []).append(job)
    for kind, jobs in by_kind.items():
        outcomes = kind.apply([(job.tx, job.record) for job in jobs])
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.error = outcome
            else:
                job.result = outcome
    for job in group:
        if job.work is not None:
            _run_work(job, job.work, alone=len(group) == 1)


def _run_work(job: Job, work: Work, *, alone: bool) -> None:
    if alone:
        try:
            job.result = work(job.tx)
        except Exception as error:
            job.error = error
            raise _OnlyJobError from error
        return
    savepoint = job.tx.connection.begin_nested()
    try:
        job.result = work(job.tx)
    except Exception as error:  # the caller's own; it is answered with it
        job.error = error
        _roll_back(savepoint, error)
    else:
        savepoint.commit()


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


def _answer_all(group: list[Job]) -> None:
    for job in group:
        job.answer()
