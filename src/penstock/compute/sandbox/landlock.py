"""What a process may do with files, by Landlock; a process takes rights from itself and never gets them back.

Source: the kernel's Documentation/userspace-api/landlock.rst. Landlock says nothing of the metadata of files (modes,
owners, times, attributes): the seccomp filter refuses the calls that change those.
"""

import errno
import os
import stat
import struct
from collections.abc import Iterable

from penstock.compute.sandbox import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_FIRST_VERSION = (1 << 13) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_NETWORK = 1 << 0 | 1 << 1  # to bind and to connect by TCP
_SCOPES = 1 << 0 | 1 << 1  # abstract Unix sockets, and signals, of processes outside


def find_version() -> int:
    """The version of Landlock that the kernel speaks; 0: none."""
    try:
        return kernel.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            return 0
        raise


def restrict(
    *, listable: Iterable[str], readable: Iterable[str], executable: Iterable[str], writable: Iterable[str]
) -> None:
    """Take every right to files from this process but these; paths that are not there are passed over.

    Raises:
        OSError: the kernel refuses.
    """
    version = find_version()
    handled = _ALL_OF_FIRST_VERSION
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    handled |= _IOCTL_DEVICE if version >= 5 else 0
    ruleset = kernel.syscall(_CREATE_RULESET, *_describe(version, handled), 0)
    read = _READ_FILE | _READ_DIR
    for paths, rights in (
        (listable, _READ_DIR),
        (readable, read),
        (executable, read | _EXECUTE),
        (writable, handled & ~(_EXECUTE | _MAKE_DEVICES | _IOCTL_DEVICE)),
    ):
        for path in paths:
            _allow(ruleset, path, rights)
    kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _describe(version: int, handled: int) -> tuple[bytes, int]:
    """`struct landlock_ruleset_attr` as long as the kernel's version knows it."""
    whole = struct.pack("=QQQ", handled, _NETWORK, _SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24
    return whole[:size], size


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
