"""Named places where a test can make the program die, fail or wait; off unless an environment variable names them.

`PENSTOCK_FAILPOINTS="storage.writer.before_commit=kill@3,objects.rename=enospc"` kills the process at the third pass
of the first point, and raises "no space left" at every pass of the second. Actions: `kill` (SIGKILL to oneself),
`enospc`, `eio` (OSError), `sleep:SECONDS`. `@N` means the N-th pass only; `@N+` means from the N-th pass on.
"""

import errno
import os
import re
import signal
import threading
import time

from msgspec import Struct

VARIABLE = "PENSTOCK_FAILPOINTS"
_OS_ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO}
_FORM = re.compile(r"([\w.-]+)=(kill|enospc|eio|sleep:\d+(?:\.\d+)?)(?:@(\d+)(\+?))?")


class _Failpoint(Struct):
    action: str
    first: int
    last: float
    passes: int = 0


def _parse(text: str) -> dict[str, _Failpoint]:
    points = {}
    for item in filter(None, text.split(",")):
        form = _FORM.fullmatch(item.strip())
        if form is None:
            raise ValueError(f"{item!r} is no fail-point; write NAME=kill, enospc, eio or sleep:SECONDS, then maybe @N")
        name, action, pass_number, onwards = form.groups()
        first = int(pass_number or 1)
        points[name] = _Failpoint(action, first, float("inf") if onwards or not pass_number else first)
    return points


_points = _parse(os.environ.get(VARIABLE, ""))  # switched once, at start, so that a pass costs one look in a dict
_lock = threading.Lock()


def arm(text: str) -> None:
    """Switch fail-points in this process, in the form of the environment variable; an empty text switches all off."""
    global _points
    _points = _parse(text)


def hit(name: str) -> None:
    """Pass the fail-point `name`.

    Raises:
        OSError: the point is armed with `enospc` or `eio`.
    """
    if not _points:
        return
    point = _points.get(name)
    if point is None:
        return
    with _lock:
        point.passes += 1
        if not point.first <= point.passes <= point.last:
            return
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif point.action in _OS_ERRORS:
        number = _OS_ERRORS[point.action]
        raise OSError(number, os.strerror(number), f"fail-point {name}")
    elif point.action.startswith("sleep:"):
        time.sleep(float(point.action.removeprefix("sleep:")))
