"""What happens to open runs when this process forks or exits."""

import atexit
import os
import sys
from typing import Protocol

from penstock.sdk.spool.telling import tell
from penstock.tracking.types import RunStatus


class _OpenRun(Protocol):
    def forked(self) -> None: ...
    def end(self, status: RunStatus = ...) -> None: ...


LIVING: set[_OpenRun] = set()  # the hooks of a process know nothing else


def _leave_to_parent() -> None:
    for run in list(LIVING):
        run.forked()


def _end_all() -> None:
    """A script that ends without `run.end()` has finished, unless an error ended it."""
    error = getattr(sys, "last_value", None)
    failed = RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
    for run in list(LIVING):
        try:
            run.end(RunStatus.FINISHED if error is None else failed)
        except Exception as problem:  # the outermost place: the others are ended all the same
            tell(f"a run could not be ended: {problem}")


os.register_at_fork(after_in_child=_leave_to_parent)
atexit.register(_end_all)
