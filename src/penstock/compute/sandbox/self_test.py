"""Whether a sandbox holds, tried from inside before anything foreign runs."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from penstock.compute.sandbox import kernel
from penstock.compute.sandbox.order import Order

_NOT_ALLOWED = (errno.EPERM, errno.EACCES)


def find_leaks(order: Order) -> list[str]:
    """What the sandbox should refuse and does not, and what it should allow and does not; empty when it holds."""
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("it may open network sockets", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
        ("it may open Unix sockets", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()),
        ("it may enter new namespaces", lambda: kernel.unshare(kernel.CLONE_NEWUSER)),
        ("it may list the root folder", lambda: os.listdir("/")),
        ("it may write beside its folder", lambda: _touch(Path(order.folder).parent / "leak")),
        ("it may change the mode of files", lambda: os.chmod(order.folder, 0o777)),
        ("it may trace other processes", _trace),
        *((f"it may read {path}", lambda path=path: open(path, "rb").close()) for path in order.forbidden),
    ]
    leaks = [problem for problem, attempt in attempts if not _is_refused(attempt)]
    status = Path("/proc/self/status").read_text()
    if "NoNewPrivs:\t1" not in status or "Seccomp:\t2" not in status:
        leaks.append("the kernel does not say that it is bound")
    try:
        _touch(Path(order.folder) / "probe")
    except OSError as error:
        leaks.append(f"it may not write into its own folder: {error}")
    return leaks


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno in _NOT_ALLOWED
    return False


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.unlink()


def _trace() -> None:
    trace_me = 0
    if ctypes.CDLL(None, use_errno=True).ptrace(trace_me, 0, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
