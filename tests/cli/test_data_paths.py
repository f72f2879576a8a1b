"""`penstock data` with files and folders of one's own: no project, no server, and Git beside it."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import warm_python
from patience import PATIENCE_S
from processes.test_standalone import running

GIT = dict(
    os.environ,
    GIT_CONFIG_GLOBAL="/dev/null",
    GIT_CONFIG_SYSTEM="/dev/null",
    GIT_AUTHOR_NAME="a",
    GIT_AUTHOR_EMAIL="a@example.org",
    GIT_COMMITTER_NAME="a",
    GIT_COMMITTER_EMAIL="a@example.org",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    (tmp_path / "images").mkdir()
    for number in range(12):
        (tmp_path / "images" / f"{number}.png").write_bytes(os.urandom(100))
    return tmp_path


def git(*words: str, check: bool = True) -> str:
    return subprocess.run(["git", *words], env=GIT, check=check, capture_output=True, text=True).stdout


def test_a_folder_is_added_compared_and_checked_out(here: Path, penstock) -> None:
    said = penstock("data", "add", "images")
    assert (said.code, said.err) == (0, "")
    assert said.out == "images: version 1 of images, 12 files, 0.0 MB, 12 read\n"
    assert penstock("data", "status").out == "images: unchanged\n"
    (here / "images" / "0.png").write_bytes(b"other")
    (here / "images" / "new.png").write_bytes(b"new")
    said = penstock("data", "status", "images")
    assert said.code == 1
    assert said.out == "images: changed\n  modified  0.png\n  added     new.png\n"
    said = penstock("data", "checkout", "images")
    assert said.code == 1
    assert "0.png, new.png; " in said.err.replace("\n  ", "; ")
    assert penstock("data", "add", "images").out.startswith("images: version 2 of images, 13 files")
    shutil.rmtree(here / "images")
    assert penstock("data", "checkout").out == "images: 13 files written or removed\n"
    assert penstock("data", "checkout", "images", "--version", "1", "--json").code == 0
    assert len(list((here / "images").iterdir())) == 12
    assert penstock("data", "status").out == "images: unchanged\n"


@pytest.mark.parametrize(
    "words", [["add", "images"], ["status"], ["checkout", "--force"], ["checkout", "one", "--force"]]
)
def test_files_are_counted_on_a_terminal_only_and_never_beside_json(here: Path, penstock, words: list[str]) -> None:
    (here / "one").write_bytes(b"x" * 1000)
    penstock("data", "add", "images", "one")
    (here / "images" / "0.png").write_bytes(b"other")
    (here / "one").write_bytes(b"y" * 1000)
    assert b" files" in show([*words]) and show([*words, "--json"]) == b""


def show(words: list[str]) -> bytes:
    """What a command prints on standard error, which is a terminal."""
    screen, terminal = pty.openpty()
    command = ["-m", "penstock", "data", *words]
    environment = {**os.environ, "TERM": "xterm"}
    warm_python.Process(command, stdout=subprocess.DEVNULL, stderr=terminal, env=environment).wait(PATIENCE_S)
    os.set_blocking(screen, False)
    try:
        return os.read(screen, 100_000)
    except BlockingIOError:
        return b""
    finally:
        os.close(screen)
        os.close(terminal)


def test_the_log_has_every_version(here: Path, penstock) -> None:
    penstock("data", "add", "images", "--name", "pictures")
    (here / "images" / "0.png").unlink()
    (row,) = json.loads(penstock("data", "add", "images", "--json").out)
    assert (row["dataset"], row["version"], row["files"], row["new"]) == ("pictures", 2, 11, True)
    listed = json.loads(penstock("data", "log", "--json").out)
    assert [(each["version"], each["file_count"], each["source"]) for each in listed] == [
        (2, 11, "images"),
        (1, 12, "images"),
    ]
    assert penstock("data", "log", "pictures").out.count("pictures") == 2


def test_where_nothing_was_added_nothing_is_made(here: Path, penstock) -> None:
    before = sorted(here.iterdir())
    for line in (["log"], ["status"], ["checkout"], ["checkout", "images"]):
        said = penstock("data", *line)
        assert "data add" in said.out + said.err
    assert sorted(here.iterdir()) == before


def test_another_path_needs_another_name(here: Path, penstock) -> None:
    (here / "more" / "images").mkdir(parents=True)
    penstock("data", "add", "images")
    said = penstock("data", "add", "more/images")
    assert said.code == 1
    assert "comes from 'images', not from 'more/images'" in said.err
    assert "--name" in said.err
    assert penstock("data", "add", "more/images", "--name", "more").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no file or folder nothing"),
        (["images", "--links", "some"], "--links cannot be 'some'"),
        (["images", "--names", "all"], "--names cannot be 'all'"),
        (["."], "is not below"),
        ([".penstock"], "keeps its own state"),
        (["images", "other", "--name", "x"], "--name is for one path"),
    ],
)
def test_what_cannot_be_added_is_explained(arguments: list[str], said: str, here: Path, penstock) -> None:
    (here / ".penstock").mkdir()
    (here / "other").mkdir()
    refused = penstock("data", "add", *arguments)
    assert refused.code == 1
    assert said in refused.err
    assert not (here / "penstock.data").exists()


def test_a_name_that_windows_cannot_have_is_taken_only_on_request(here: Path, penstock) -> None:
    (here / "images" / "aux.png").write_bytes(b"x")
    refused = penstock("data", "add", "images")
    assert "'aux.png' on Windows" in refused.err
    assert penstock("data", "add", "images", "--names", "any").code == 0
    assert penstock("data", "status").code == 0


def test_two_branches_that_both_add_data_merge(here: Path, penstock, tmp_path_factory: pytest.TempPathFactory) -> None:
    git("init", "-q", "-b", "main")
    penstock("data", "add", "images")
    git("add", ".")
    git("commit", "-qm", "base")
    assert git("ls-files").split() == [".gitattributes", ".gitignore", "penstock.data"]

    git("switch", "-qc", "theirs")
    (here / "images" / "theirs.png").write_bytes(b"theirs")
    (here / "sounds").mkdir()
    (here / "sounds" / "a.wav").write_bytes(b"a")
    penstock("data", "add", "images", "sounds")
    git("add", ".")
    git("commit", "-qm", "theirs")

    git("switch", "-q", "main")
    penstock("data", "checkout")
    assert not (here / "images" / "theirs.png").exists()
    (here / "images" / "ours.png").write_bytes(b"ours")
    (here / "table.csv").write_text("1,2\n")
    penstock("data", "add", "images", "table.csv")
    git("add", ".")
    git("commit", "-qm", "ours")

    environment = GIT | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(["git", "merge", "-q", "theirs", "-m", "merged"], env=environment, check=True)
    assert penstock("data", "checkout").code == 0
    names = {path.name for path in (here / "images").iterdir()}
    assert {"ours.png", "theirs.png", "0.png"} <= names
    assert (here / "sounds" / "a.wav").read_bytes() == b"a"
    assert penstock("data", "status").code == 0
    assert git("status", "--porcelain") == ""

    newest = penstock("data", "log", "images", "--json").json[0]["version"]
    remote = str(tmp_path_factory.mktemp("remote"))
    said = penstock("data", "push", "--remote", remote)
    assert said.out.startswith(f"recorded images version {newest + 1}, as penstock.data has it\npushed ")
    (merged, *_) = penstock("data", "log", "images", "--json").json
    tree = json.loads(next(line for line in (here / "penstock.data").read_text().splitlines() if "images" in line))[2]
    assert (merged["version"], merged["tree"], merged["file_count"]) == (newest + 1, tree, 14)
    known = penstock("lineage", f"dataset-version:images/{newest + 1}").out
    assert "source:images" in known
    again = penstock("data", "push", "images", "--remote", remote, "--json").json
    assert again["recorded"] == [] and f"dataset-version:images/{newest + 1}" in again["versions"]
    penstock("data", "checkout", "images", "--version", "1")
    assert penstock("data", "push", "--remote", remote, "--json").json["recorded"] == [], "it is an old one"
    assert penstock("gc", "--grace", "0").code == 0 and penstock("verify").code == 0


def test_what_a_clone_has_not_fetched_is_no_hindrance(
    here: Path, penstock, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, clone = str(tmp_path_factory.mktemp("remote")), tmp_path_factory.mktemp("clone")
    penstock("data", "add", "images")
    penstock("data", "push", "--remote", remote)
    shutil.copy(here / "penstock.data", clone)
    monkeypatch.chdir(clone)
    (clone / "own").write_text("1")
    penstock("data", "add", "own")
    assert penstock("data", "push", "--remote", remote, "--json").json["versions"] == ["dataset-version:own/1"]
    penstock("data", "pull", "--remote", remote)
    assert penstock("data", "push", "--remote", remote, "--json").json["recorded"] == ["dataset-version:images/1"]


def test_a_conflict_is_left_to_people(here: Path, penstock) -> None:
    git("init", "-q", "-b", "main")
    penstock("data", "add", "images")
    git("add", ".")
    git("commit", "-qm", "base")
    for branch in ("theirs", "ours"):
        git("switch", "-qc", branch, "main")
        (here / "images" / "0.png").write_bytes(branch.encode())
        penstock("data", "add", "images")
        git("commit", "-qam", branch)
        (here / "images" / "0.png").write_bytes(b"x")
        penstock("data", "add", "images")
        git("checkout", "-q", ".")
    environment = GIT | {"PYTHONPATH": os.pathsep.join(sys.path)}
    merged = subprocess.run(["git", "merge", "theirs"], env=environment, check=False, capture_output=True, text=True)
    assert merged.returncode == 1
    assert "both sides changed images/0.png" in merged.stderr
    refused = penstock("data", "status")
    assert refused.code == 1
    assert "is a merge conflict; keep one line" in refused.err.replace("\n  ", "; ")


def test_a_folder_may_be_kept_by_a_server(here: Path, penstock, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    with running(home) as (url, _):
        assert penstock("data", "add", "images", "--url", url).code == 0
        assert not (here / ".penstock" / "objects").exists()
        shutil.rmtree(here / "images")
        assert penstock("data", "checkout", "--url", url).out == "images: 12 files written or removed\n"
        assert penstock("data", "status", "--url", url).code == 0
        assert penstock("data", "log", "--url", url).out.count("images") == 1


def test_a_clone_gets_its_data_from_a_remote(here: Path, penstock, tmp_path_factory: pytest.TempPathFactory) -> None:
    remote, clone = tmp_path_factory.mktemp("remote"), tmp_path_factory.mktemp("clone")
    penstock("data", "add", "images")
    assert penstock("data", "push", "--remote", str(remote)).code == 0
    shutil.copy(here / "penstock.data", clone)
    os.chdir(clone)
    said = penstock("data", "checkout")
    assert (said.code, "penstock data pull" in said.err) == (1, True)
    assert penstock("data", "pull", "images", "--remote", str(remote)).out.startswith("pulled 1 version: ")
    assert penstock("data", "checkout").out == "images: 12 files written or removed\n"
    assert {path.name: path.read_bytes() for path in (clone / "images").iterdir()} == {
        path.name: path.read_bytes() for path in (here / "images").iterdir()
    }


def test_commands_of_the_store_need_no_project(here: Path, penstock) -> None:
    (row,) = json.loads(penstock("data", "add", "images", "--json").out)
    (here / "images" / "0.png").unlink()
    penstock("data", "add", "images")
    said = penstock("data", "diff", "images", "1", "2")
    assert said.out == "images version 1 to 2: 12 to 11 files\n  file 0.png was removed (100 bytes)\n"
    assert "has no columns" in penstock("data", "quality", "images").out
    assert penstock("verify").code == 0
    assert penstock("gc", "--dry-run").code == 0
    assert "images" in penstock("why-kept", row["tree"]).out


def test_a_new_project_tells_git_how_data_is_merged(here: Path, penstock) -> None:
    git("init", "-q", "-b", "main")
    (here / "t.csv").write_text("a,b,bought\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(60)))
    said = penstock("init", "--data", "t.csv", "--label", "bought", "--yes", "--json")
    assert said.code == 0, said.err
    assert "penstock.data merge=penstock-data" in (here / "bought" / ".gitattributes").read_text()
    assert "data merge %O %A %B" in git("config", "merge.penstock-data.driver")
