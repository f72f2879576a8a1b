"""Run as a script of its own, this starts one command and sees to it that no part of it outlives who asked for it.

`shepherd.py LIFELINE REPORT COMMAND...`: both are numbers of inherited pipe ends. The asker holds the other end of the
lifeline; when it writes there or dies, however it dies, the whole process group is killed. How the command ended and
what it used goes to REPORT: status, CPU seconds, peak memory. Only small modules of the standard library are imported,
so this costs some 20 ms and 9 MB.
"""

import os
import select
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the command, wait for its end or for the asker's, and report."""
    if tend(int(sys.argv[1]), int(sys.argv[2])):
        become(sys.argv[3:])


def make_command(lifeline: int, report: int, argv: Sequence[str]) -> list[str]:
    """The command line of a shepherd of a command."""
    return [sys.executable, "-I", "-S", __file__, str(lifeline), str(report), *argv]


def tend(lifeline: int, report: int) -> bool:
    """Fork, and tend the new process: wait for its end or for the asker's, and report.

    Returns:
        True in the new process, which is to be the command; False in this one, once the command has ended.
    """
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (lifeline, report, wake, waker):
            os.close(end)
        _die_with(me)
        return True
    while True:
        ready, _, _ = select.select([lifeline, wake], [], [])
        if lifeline in ready:
            os.killpg(0, signal.SIGKILL)
        os.read(wake, 512)
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
    unit = 1 if sys.platform == "darwin" else 1024
    os.write(report, f"{status} {usage.ru_utime + usage.ru_stime:.3f} {usage.ru_maxrss * unit}".encode())
    return False


def become(argv: list[str]) -> None:
    """Turn this process into a command."""
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"cannot run {argv[0]!r}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _die_with(parent: int) -> None:
    """On Linux, let this process end with the shepherd, should somebody kill that."""
    if sys.platform == "linux":
        import ctypes  # only this branch needs it, and it doubles the time of start

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)


if __name__ == "__main__":
    main()
