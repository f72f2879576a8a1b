"""The filter, run by a small interpreter of BPF: what each architecture may call."""

import errno
import os
import socket
import struct

import pytest

from penstock.compute.sandbox import bpf
from penstock.compute.sandbox.seccomp import build_filter
from penstock.compute.sandbox.system_calls import FORBIDDEN, JUDGED, NEWEST

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
REFUSED, UNKNOWN = bpf.refuse_with(errno.EPERM), bpf.refuse_with(errno.ENOSYS)
OWN = 4321


def judge(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """What the filter says to a call."""
    padded = [value & 0xFFFFFFFFFFFFFFFF for value in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    at, held = 0, 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        match operation:
            case 0x20:
                held = struct.unpack_from("=I", data, constant)[0]
            case 0x54:
                held &= constant
            case 0x15:
                at += if_true if held == constant else if_false
            case 0x35:
                at += if_true if held >= constant else if_false
            case 0x45:
                at += if_true if held & constant else if_false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"unknown operation {operation:#x}")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Filter:
    def __init__(self, machine: str, *, has_own_processes: bool = False) -> None:
        self._program = build_filter(machine, OWN, has_own_processes=has_own_processes)
        self._architecture = MACHINES[machine]
        self._column = list(MACHINES).index(machine)

    def says(self, name: str, *arguments: int) -> int:
        number = (FORBIDDEN | JUDGED)[name][self._column]
        assert number is not None
        return judge(self._program, number, *arguments, architecture=self._architecture)

    def says_to(self, number: int, architecture: int | None = None) -> int:
        return judge(self._program, number, architecture=architecture or self._architecture)


def test_every_forbidden_call_is_refused(machine: str) -> None:
    bound, column = Filter(machine), list(MACHINES).index(machine)
    there = [name for name, numbers in FORBIDDEN.items() if numbers[column] is not None]
    assert len(there) > 75
    assert {bound.says(name) for name in there} == {REFUSED}


def test_calls_by_the_numbers_of_another_architecture_end_the_process(machine: str) -> None:
    assert Filter(machine).says_to(0, architecture=0x40000003) == bpf.KILL  # 32-bit x86
    assert Filter("x86_64").says_to(0x40000000) == bpf.KILL  # x32


def test_what_is_newer_than_the_list_is_unknown(machine: str) -> None:
    assert Filter(machine).says_to(NEWEST + 1) == UNKNOWN
    assert Filter(machine).says_to(NEWEST) == bpf.ALLOW


def test_a_process_may_fork_but_not_into_new_namespaces(machine: str) -> None:
    bound = Filter(machine)
    assert bound.says("clone", 0x3D0F00) == bpf.ALLOW  # a thread
    assert bound.says("clone", 0x10000000 | 17) == REFUSED
    assert bound.says("clone3") == UNKNOWN


def test_only_pairs_of_unix_streams_are_made(machine: str) -> None:
    bound = Filter(machine)
    assert bound.says("socketpair", socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) == bpf.ALLOW
    assert bound.says("socketpair", socket.AF_UNIX, socket.SOCK_DGRAM) == REFUSED
    assert bound.says("socketpair", socket.AF_INET, socket.SOCK_STREAM) == REFUSED


def test_a_file_opened_for_reading_is_not_cut(machine: str) -> None:
    bound = Filter(machine)
    assert bound.says("openat", 0, 0, os.O_RDONLY | os.O_TRUNC) == REFUSED
    assert bound.says("openat", 0, 0, os.O_RDONLY) == bpf.ALLOW
    assert bound.says("openat", 0, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) == bpf.ALLOW  # Landlock says where


def test_other_processes_are_neither_signalled_nor_limited(machine: str) -> None:
    shared, apart = Filter(machine), Filter(machine, has_own_processes=True)
    for name in ("kill", "tgkill"):
        assert shared.says(name, OWN) == bpf.ALLOW
        assert shared.says(name, OWN + 1) == REFUSED
        assert shared.says(name, -1) == REFUSED
        assert apart.says(name, OWN + 1) == bpf.ALLOW  # it sees no other processes than its own
    assert shared.says("prlimit64", 0) == bpf.ALLOW
    assert shared.says("prlimit64", OWN + 1) == REFUSED


def test_the_signal_at_the_end_of_its_parent_cannot_be_switched_off(machine: str) -> None:
    assert Filter(machine).says("prctl", 1, 0) == REFUSED
    assert Filter(machine).says("prctl", 15) == bpf.ALLOW  # its name


def test_what_a_program_needs_is_allowed() -> None:
    bound = Filter("x86_64")
    needed = (0, 1, 3, 9, 10, 11, 12, 44, 45, 59, 202, 257, 262, 318)  # read, write, mmap, send, execve, futex ...
    assert {bound.says_to(number) for number in needed if number != 257} == {bpf.ALLOW}
