"""Runs a function that may take too long, and ends it then."""

import ctypes
import threading
import warnings
from collections.abc import Callable

from penstock.core.errors import UnavailableError

_GRACE_S = 5.0


class LimitError(UnavailableError):
    """The function raised an error, or took too long."""


class _OutOfTimeError(BaseException):
    """Raised in the thread of a function whose time is over; no `except Exception` on its way stops it."""


class _Job(threading.Thread):
    def __init__(self, function: Callable[[], bytes]) -> None:
        super().__init__(name="limited", daemon=True)
        self.function = function
        self.content: bytes | None = None
        self.problem = ""

    def run(self) -> None:
        """Run the function and keep what comes of it."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.content = self.function()
        except _OutOfTimeError:
            return
        except BaseException as error:  # a converter raises anything, SystemExit among it
            self.problem = f"{type(error).__name__}: {error}"


def run_limited(function: Callable[[], bytes], limit_s: float) -> bytes:
    """What a function returns, if it does within some seconds.

    It runs in a thread of its own, in which an error is raised when its time is over: Python code ends at its next
    instruction. A fork would be surer, but libraries that hold threads of OpenMP hang in one, and a new process takes
    seconds to load what is loaded here already.

    Raises:
        LimitError: as the class says; the message has the function's own.
    """
    job = _Job(function)
    job.start()
    job.join(limit_s)
    if job.is_alive() and job.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(job.ident), ctypes.py_object(_OutOfTimeError))
        job.join(_GRACE_S)
        raise LimitError(f"it took longer than {limit_s:.0f} s")
    if job.content is None:
        raise LimitError(job.problem or "it ended without a result")
    return job.content
