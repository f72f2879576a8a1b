"""How much memory is left for this process."""

from collections.abc import Iterator
from pathlib import Path

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def available_bytes(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """What the machine has free, or a container leaves; None where that is not told.

    Args:
        proc: where the kernel tells of processes.
        cgroup: where it tells of control groups, version 2.
    """
    return min((*_of_machine(proc), *_of_groups(proc, cgroup)), default=None)


def _of_machine(proc: Path) -> Iterator[int]:
    for line in _read(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_groups(proc: Path, cgroup: Path) -> Iterator[int]:
    """What each group leaves that the process is in: the innermost, and those around it."""
    own = next((line[3:] for line in _read(proc / "self" / "cgroup").splitlines() if line.startswith("0::")), "/")
    group = cgroup / own.strip("/")
    for folder in (group, *(outer for outer in group.parents if outer.is_relative_to(cgroup))):
        most, used = _read(folder / "memory.max").strip(), _read(folder / "memory.current").strip()
        if most.isdecimal() and used.isdecimal():
            yield max(int(most) - int(used) + _reclaimable(folder), 0)


def _reclaimable(folder: Path) -> int:
    """Pages of files that the kernel gives up when memory is asked for."""
    pairs = (line.split() for line in _read(folder / "memory.stat").splitlines())
    return sum(int(value) for name, value in pairs if name == "inactive_file")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
