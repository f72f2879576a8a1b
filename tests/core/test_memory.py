"""The memory that is left: of the machine, or of the container, whichever is less."""

from pathlib import Path

import pytest

from penstock.core.memory import available_bytes


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:  64 kB\nMemAvailable:       32 kB\n")
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/outer/inner\n")
    return tmp_path / "proc"


def limit(folder: Path, most: str, used: int, reclaimable: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {reclaimable}\n")


def test_without_a_limit_it_is_what_the_machine_has(proc: Path, tmp_path: Path) -> None:
    assert available_bytes(proc, tmp_path / "none") == 32 * 1024
    limit(tmp_path / "groups" / "outer" / "inner", "max", 5)
    assert available_bytes(proc, tmp_path / "groups") == 32 * 1024


@pytest.mark.parametrize("place", ["outer/inner", "outer", "."])
def test_the_least_that_any_group_leaves_counts(proc: Path, tmp_path: Path, place: str) -> None:
    groups = tmp_path / "groups"
    limit(groups / "outer" / "inner", "30000", 10)
    limit(groups / place, "9000", 4000, reclaimable=1000)
    assert available_bytes(proc, groups) == 6000


def test_a_full_group_leaves_nothing(proc: Path, tmp_path: Path) -> None:
    limit(tmp_path / "groups", "9000", 9500)
    assert available_bytes(proc, tmp_path / "groups") == 0


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert available_bytes(tmp_path, tmp_path) is None


def test_this_machine_tells() -> None:
    left = available_bytes()
    assert left is None or left > 0
