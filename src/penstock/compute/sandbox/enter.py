"""Run in a process of its own, this enters a sandbox, tries whether it holds, and becomes the command.

The process that is started stays outside as a shepherd: it waits for the one inside, ends as that ended, and kills it
when whoever asked for it is gone, however that died. Only the standard library is imported, so this takes some 30 ms.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
from typing import NoReturn

from penstock.compute.sandbox import kernel, landlock, seccomp
from penstock.compute.sandbox.order import Order
from penstock.compute.sandbox.self_test import find_leaks

_NAMESPACES = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWPID
_INSIDE = 1000  # the number of the user inside: nobody's, and not the one who may do everything
_HIGHEST_CAPABILITY = 63
_SYSTEM_FILES = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
_LOADERS = ("/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-x86-64.so.2")


class _MissingError(Exception):
    """The system does not offer a part of the sandbox."""


def main() -> NoReturn:
    """Enter the sandbox that the order in the first argument describes."""
    order = Order.decode(sys.argv[1])
    for end in (order.report, order.lifeline):
        os.set_inheritable(end, False)
    os.set_inheritable(order.channel, True)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    is_apart = _enter_namespaces()
    shepherd = os.getpid()
    child = os.fork()
    if child == 0:
        _go_inside(order, is_apart, shepherd)
    os.close(order.channel)
    os.close(order.report)
    _watch(child, order.lifeline, wake)


def _enter_namespaces() -> bool:
    """Leave the network, the shared memory and the processes of the system, where it lets us."""
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.unshare(_NAMESPACES)
    except OSError:
        return False
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_INSIDE} {user} 1"),
        ("gid_map", f"{_INSIDE} {group} 1"),
    ):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:  # then it is nobody inside
            file.write(text)
    return True


def _go_inside(order: Order, is_apart: bool, shepherd: int) -> NoReturn:
    """Take every right from this process, see that they are gone, and become the command."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if not is_apart and os.getppid() != shepherd:
        os._exit(127)
    try:
        os.setsid()
        os.chdir(order.folder)
        _drop_rights(order, is_apart)
        leaks = find_leaks(order)
        if leaks:
            raise _MissingError(f"it does not hold: {'; '.join(leaks)}")
        _tell(order, {"namespaces": is_apart, "landlock": landlock.find_version()})
        os.execve(order.argv[0], order.argv, order.env)
    except (_MissingError, OSError) as error:
        _tell(order, {"missing": str(error)})
    finally:
        os._exit(126)


def _drop_rights(order: Order, is_apart: bool) -> None:
    if not landlock.find_version():
        raise _MissingError("the kernel has no Landlock (Linux 5.13 and later, in CONFIG_LSM), which limits files")
    if not seccomp.is_known(kernel.machine()):
        raise _MissingError(f"there is no filter of system calls for {kernel.machine()}")
    for name, value in order.rlimits.items():
        if name != "RLIMIT_NPROC" or is_apart:  # elsewhere it counts all processes of the user
            resource.setrlimit(getattr(resource, name), (value, value))
    for capability in range(_HIGHEST_CAPABILITY + 1):
        with contextlib.suppress(OSError):  # those that the kernel does not know, and all where they are not ours
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    with contextlib.suppress(OSError):
        kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(
        listable=order.listable,
        readable=[*_SYSTEM_FILES, *order.readable],
        executable=[*_LOADERS, *order.executable],
        writable=[order.folder, "/dev/null"],
    )
    try:
        kernel.install_filter(
            seccomp.build_filter(kernel.machine(), os.getpid(), has_own_processes=is_apart and os.getpid() == 1)
        )
    except OSError as error:
        raise _MissingError(f"the kernel takes no filter of system calls (CONFIG_SECCOMP_FILTER): {error}") from error


def _tell(order: Order, report: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        os.write(order.report, json.dumps(report).encode())


def _watch(child: int, lifeline: int, wake: int) -> NoReturn:
    """Wait for the end of the process inside, or of whoever asked, and end in the same way."""
    while True:
        ready, _, _ = select.select([lifeline, wake], [], [])
        if lifeline in ready:
            os.kill(child, signal.SIGKILL)
            os._exit(137)
        os.read(wake, 512)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    os._exit(128 - code)


if __name__ == "__main__":
    main()
