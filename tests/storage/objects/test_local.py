"""Blobs in a folder: whole or not there, whoever dies meanwhile, and no key leads out of it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import failpoints
from penstock.core.errors import InvalidInputError, NotFoundError, StorageFullError, UnavailableError
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.open import open_object_store

CHILD = """
import sys
from pathlib import Path
from penstock.storage.objects.open import open_object_store
store = open_object_store(Path(sys.argv[1]))
print(store.put_tree(Path(sys.argv[2])), store.put_bytes(b"single" * 10), flush=True)
"""


@pytest.fixture(autouse=True)
def _no_failpoints() -> object:
    yield
    failpoints.arm("")


def all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_blob_comes_back_whole_and_in_parts(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path / "o")
    assert blobs.put_if_absent("loose/ab/cd", b"0123456789")
    assert blobs.get("loose/ab/cd") == b"0123456789"
    assert blobs.get_range("loose/ab/cd", 3, 4) == b"3456"
    assert blobs.get_range("loose/ab/cd", 8, 10) == b"89"
    assert blobs.size("loose/ab/cd") == 10


def test_a_taken_key_is_left_alone(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    assert blobs.put_if_absent("a", b"first")
    assert not blobs.put_if_absent("a", b"second")
    assert blobs.get("a") == b"first"
    blobs.delete("a")
    blobs.delete("a")
    for ask in (blobs.get, blobs.size, lambda key: blobs.get_range(key, 0, 1)):
        with pytest.raises(NotFoundError):
            ask("a")


def test_keys_are_listed_in_order(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    keys = ["a/b", "a.x", "a/b.c", "b/c/d", "a/b-c"]
    for key in keys:
        blobs.put_if_absent(key, b"")
    assert list(blobs.list_keys("")) == sorted(keys)
    assert list(blobs.list_keys("a/")) == ["a/b", "a/b-c", "a/b.c"]
    assert list(blobs.list_keys("none/")) == []


@given(key=st.text(max_size=20) | st.from_regex(r"[./\\a-c]{1,12}", fullmatch=True))
def test_no_key_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    blobs = LocalBlobStore(Path("/nowhere/store"))
    try:
        path = blobs._path(key)
    except InvalidInputError:
        return
    assert Path(os.path.normpath(path)) == path
    assert path.is_relative_to("/nowhere/store") and path != Path("/nowhere/store")


@pytest.mark.parametrize(
    ("action", "error"), [("enospc", StorageFullError), ("eio", UnavailableError)], ids=["full", "broken"]
)
@pytest.mark.parametrize("point", ["objects.fsync", "objects.rename"])
def test_a_write_that_fails_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, point: str, action: str, error: type[Exception]
) -> None:
    blobs = LocalBlobStore(tmp_path / "o")
    failpoints.arm(f"{point}={action}@1")
    with pytest.raises(error):
        blobs.put_if_absent("x/y", b"data")
    assert all_files(tmp_path) == []
    assert blobs.put_if_absent("x/y", b"data")


def test_of_many_writers_of_one_key_exactly_one_is_first(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    for round_ in range(10):
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda n, key=f"k{round_}": blobs.put_if_absent(key, b"%d" % n), range(8)))
        assert told.count(True) == 1
        assert blobs.get(f"k{round_}") == b"%d" % told.index(True)


@pytest.mark.parametrize("passing", [1, 2, 3])
@pytest.mark.parametrize("point", ["objects.append", "objects.fsync", "objects.rename", "objects.renamed"])
def test_a_torn_write_is_never_visible(tmp_path: Path, point: str, passing: int) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}").write_bytes(os.urandom(3000))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "o"), str(folder)]
    killed = dict(os.environ, PENSTOCK_FAILPOINTS=f"{point}=kill@{passing}")
    assert subprocess.run(command, env=killed, capture_output=True, check=False).returncode == -9

    store = open_object_store(tmp_path / "o")
    report = store.verify()
    assert report.passed, report
    tree = store.put_tree(folder)
    single = store.put_bytes(b"single" * 10)
    assert store.verify([tree, single]).problems == ()
    store.checkout(tree, tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }


def test_what_a_killed_writer_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    blobs.put_if_absent("a/b", b"kept")
    left = tmp_path / ".tmp-left"
    left.write_bytes(b"half")
    assert list(blobs.list_keys("")) == ["a/b"]
    assert blobs.sweep(timedelta(hours=1)) == 0
    assert blobs.sweep(timedelta(seconds=-1)) == 1
    assert not left.exists() and blobs.get("a/b") == b"kept"


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInputError, match="file"):
        LocalBlobStore(tmp_path / "file").put_if_absent("a", b"x")
