"""Which system calls a sandboxed process may make.

Refused is what reaches beyond the process: sockets, other processes, mounts, namespaces, keys, the kernel itself, the
metadata of files (which Landlock does not guard), and every call that is newer than this list.
"""

import errno
import os
import socket

from penstock.compute.sandbox import bpf
from penstock.compute.sandbox.system_calls import FORBIDDEN, JUDGED, NEWEST

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_X32 = 0x40000000  # the numbers of a second interface of x86_64
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_SOCKET_KIND = 0xF  # the rest of the number are flags
_PUSH_INPUT, _CONSOLE = 0x5412, 0x541C  # TIOCSTI, TIOCLINUX
_SET_DEATH_SIGNAL = 1

REFUSED = bpf.refuse_with(errno.EPERM)
UNKNOWN = bpf.refuse_with(errno.ENOSYS)


def is_known(machine: str) -> bool:
    """Whether there is a filter for this architecture."""
    return machine in _ARCHITECTURES


def build_filter(machine: str, process: int, *, has_own_processes: bool) -> bytes:
    """The filter as a BPF program.

    Args:
        machine: the architecture.
        process: the number of the process that will be bound, as it sees itself.
        has_own_processes: whether it sees no other processes than its own children; else it may signal none but itself.
    """
    column = list(_ARCHITECTURES).index(machine)
    of_here = {name: numbers[column] for name, numbers in (FORBIDDEN | JUDGED).items()}
    known = {name: number for name, number in of_here.items() if number is not None}
    blocks = [bpf.begin(_ARCHITECTURES[machine])]
    if machine == "x86_64":
        blocks.append(bpf.on_calls_from(_X32, bpf.KILL))
    blocks.append(bpf.on_calls_from(NEWEST + 1, UNKNOWN))
    blocks += [bpf.on_call(known[name], REFUSED) for name in FORBIDDEN if name in known]
    for name in JUDGED:
        if name in known:
            blocks += _judge(name, known[name], process, has_own_processes)
    return bpf.assemble([*blocks, bpf.end()])


def _judge(name: str, number: int, process: int, has_own_processes: bool) -> list[bpf.Block]:
    """The blocks for a call whose arguments decide."""
    match name:
        case "clone":
            return [bpf.on_flag(number, 0, _NEW_NAMESPACES, REFUSED)]
        case "clone3" | "openat2":  # their arguments lie in memory, where no filter sees; callers know the older ones
            return [bpf.on_call(number, UNKNOWN)]
        case "open" | "openat":  # cutting a file that is only opened for reading; Landlock knows of it since version 3
            flags = 1 if name == "open" else 2
            return [bpf.on_masked(number, flags, os.O_TRUNC | os.O_ACCMODE, os.O_TRUNC | os.O_RDONLY, REFUSED)]
        case "socketpair":  # pairs of datagram sockets could still send to a name
            return [
                bpf.on_other(number, 0, (socket.AF_UNIX,), REFUSED),
                bpf.on_other(number, 1, (socket.SOCK_STREAM,), REFUSED, mask=_SOCKET_KIND),
            ]
        case "prctl":  # the process dies with whoever started it, and stays so
            return [bpf.on_value(number, 0, _SET_DEATH_SIGNAL, REFUSED)]
        case "ioctl":
            return [bpf.on_value(number, 1, request, REFUSED) for request in (_PUSH_INPUT, _CONSOLE)]
        case "prlimit64":
            return [bpf.on_other(number, 0, (0, process), REFUSED)]
    if has_own_processes:  # kill, tgkill
        return []
    return [bpf.on_other(number, 0, (process,), REFUSED)]
