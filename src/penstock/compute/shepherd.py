"""Run as a script of its own, this starts one command and sees to it that no part of it outlives who asked for it.

`shepherd.py LIFELINE REPORT COMMAND...`: both are numbers of inherited pipe ends. The asker holds the other end of the
lifeline and never writes to it; when the asker dies, however it dies, the kernel closes that end, and the whole
process group is killed. How the command ended and what it used goes to REPORT: status, CPU seconds, peak memory.
Only small modules of the standard library are imported, so this costs some 20 ms and 9 MB.
"""

import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Start the command, wait for its end or for the asker's, and report."""
    lifeline, report = int(sys.argv[1]), int(sys.argv[2])
    for end in (lifeline, report):
        os.set_inheritable(end, False)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        _become(sys.argv[3:], me)
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


def _become(argv: list[str], parent: int) -> None:
    """Turn this process into the command; on Linux it dies with the shepherd, should somebody kill that."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes  # only this branch needs it, and it doubles the time of start

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"cannot run {argv[0]!r}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


if __name__ == "__main__":
    main()
