"""What a process says about itself, on real git repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from penstock.core.ids import Digest
from penstock.tracking.capture import capture_source, describe_command, digest_of, read_environment_lock


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        who |= {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        subprocess.run(["git", *command], cwd=folder, check=True, env=os.environ | who)
    return folder


def test_a_clean_repository_has_a_commit_and_no_diff(repository: Path) -> None:
    source = capture_source(repository, seed=7)
    assert source.git_commit is not None
    assert len(source.git_commit) == 40
    assert source.git_dirty_diff is None
    assert source.seed == 7
    assert source.host


def test_changed_and_untracked_files_make_the_diff(repository: Path) -> None:
    kept: list[bytes] = []

    def keep(content: bytes) -> Digest:
        kept.append(content)
        return digest_of(content)

    (repository / "train.py").write_text("print(2)\n")
    (repository / "new.py").write_text("x = 1\n")
    source = capture_source(repository, keep=keep)
    assert source.git_dirty_diff == digest_of(kept[0])
    assert b"+print(2)" in kept[0]
    assert b"untracked new.py" in kept[0]
    (repository / "new.py").write_text("x = 2\n")
    assert capture_source(repository).git_dirty_diff != source.git_dirty_diff


def test_a_folder_outside_git_has_neither(tmp_path: Path) -> None:
    source = capture_source(tmp_path)
    assert (source.git_commit, source.git_dirty_diff) == (None, None)
    assert source.environment_lock == digest_of(read_environment_lock())


def test_the_environment_lock_names_every_package_once() -> None:
    lines = read_environment_lock().decode().splitlines()
    assert lines[0].startswith("# python 3.")
    assert sum(line.startswith("msgspec==") for line in lines) == 1
    assert lines[1:] == sorted(lines[1:])


def test_the_seed_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SEED", "42")
    assert capture_source(tmp_path).seed == 42


def test_secrets_in_a_command_are_left_out() -> None:
    command = describe_command(["train.py", "--api-token", "abc", "--rate=1", "--password=xyz", "DB_PASSWORD=q"])
    assert command == "train.py --api-token *** --rate=1 --password=*** DB_PASSWORD=***"
