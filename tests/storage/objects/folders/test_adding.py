"""A folder becomes the same tree however it is read: alone, by many processes, or not at all where nothing changed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from patience import PATIENCE_S
from penstock.core import failpoints
from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError, StorageFullError, UnavailableError
from penstock.storage.objects.folders import readers
from penstock.storage.objects.folders.scanning import Rules
from penstock.storage.objects.folders.stat_cache import StatCache
from penstock.storage.objects.format import EntryKind
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_object_store(tmp_path / "objects")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three hundred files in thirty folders, one of them large."""
    chance = random.Random(1)
    for number in range(300):
        path = tmp_path / "in" / f"{number % 30:02}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(9_000)))
    (tmp_path / "in" / "large").write_bytes(chance.randbytes(5 << 20))
    return tmp_path / "in"


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes read nearly everything."""
    monkeypatch.setattr(readers, "ALONE", 5)


def age() -> None:
    """Let time pass since the last change of a file, as a file system's clock counts it."""
    time.sleep(0.06)


def test_workers_make_the_tree_that_one_process_makes(
    folder: Path, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = open_object_store(tmp_path / "alone").add_folder(folder)
    monkeypatch.setattr(readers, "ALONE", 5)
    helped = store.add_folder(folder)
    assert helped == alone
    assert (helped.files, helped.read) == (301, 301)
    assert store.verify([store.put_tree(folder)]).problems == ()
    store.checkout(store.put_tree(folder), tmp_path / "out")
    assert subprocess.run(["diff", "-r", folder, tmp_path / "out"], check=False).returncode == 0


def test_a_large_file_is_read_by_one_worker(
    folder: Path, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = open_object_store(tmp_path / "alone").add_folder(folder, only="large")
    monkeypatch.setattr(readers, "ALONE_SIZE", 4 << 20)
    started: list[list[str]] = []
    begin = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda args, **given: started.append(args) or begin(args, **given))
    assert store.add_folder(folder, only="large") == alone
    assert len(started) == 1
    assert store.get_bytes(store.find_file(alone.digest.hex(), "large").digest) == (folder / "large").read_bytes()  # type: ignore[arg-type]


@pytest.mark.usefixtures("helped")
def test_while_workers_read_there_is_time_for_something_else(folder: Path, store: ObjectStore) -> None:
    held: list[list[str]] = []
    store.add_folder(folder, meanwhile=lambda: held.append(list(store.blobs.list_keys("leases/"))))
    assert len(held) == 1
    assert len(held[0]) == 1  # a collector knows that somebody is at work before workers rely on what is there


def test_what_did_not_change_is_not_read_again(folder: Path, store: ObjectStore, tmp_path: Path) -> None:
    age()
    found = StatCache()
    first = store.add_folder(folder, found=found)
    found.save(tmp_path / "cache")
    known = StatCache.load(tmp_path / "cache")
    again = store.add_folder(folder, known=known)
    assert (again.digest, again.read, again.files) == (first.digest, 0, 301)

    (folder / "05" / "5.bin").write_bytes(b"new")
    (folder / "06" / "more").mkdir()
    (folder / "06" / "more" / "x").write_bytes(b"x")
    (folder / "07" / "7.bin").unlink()
    (folder / "08" / "8.bin").chmod(0o755)
    found = StatCache()
    changed = store.add_folder(folder, known=known, found=found)
    assert changed.read == 3  # the one whose mode changed as well
    assert changed.digest == open_object_store(tmp_path / "other").add_folder(folder).digest
    assert set(found) - set(known) == {"06/more"}


def test_a_change_that_leaves_size_and_time_is_seen(folder: Path, store: ObjectStore) -> None:
    age()
    path = folder / "05" / "5.bin"
    before, was = store.add_folder(folder, found=(found := StatCache())), path.stat()
    path.write_bytes(bytes(was.st_size))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    after = store.add_folder(folder, known=found)
    assert after.read == 1
    assert after.digest != before.digest


def test_a_file_that_changed_just_before_is_not_trusted(folder: Path, store: ObjectStore) -> None:
    path = folder / "05" / "5.bin"
    path.write_bytes(b"one")
    store.add_folder(folder, found=(found := StatCache()))
    assert store.add_folder(folder, known=found).read >= 1


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_torn_cache_is_an_empty_one(damage: bytes | None, folder: Path, store: ObjectStore, tmp_path: Path) -> None:
    store.add_folder(folder, found=(found := StatCache()))
    file = tmp_path / "deep" / "cache"
    found.save(file)
    assert len(list(StatCache.load(file))) == 31
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert list(StatCache.load(file)) == []
    assert list(StatCache.load(tmp_path / "none")) == []


def test_links_are_followed_kept_or_refused(tmp_path: Path, store: ObjectStore) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    (folder / "sub" / "up").symlink_to("../file")
    (folder / "dangling").symlink_to("no\nwhere")
    kept = store.add_folder(folder, rules=Rules(links="keep"))
    store.checkout(kept_digest := kept.digest.hex(), tmp_path / "out")  # type: ignore[arg-type]
    assert os.readlink(tmp_path / "out" / "sub" / "up") == "../file"
    assert os.readlink(tmp_path / "out" / "dangling") == "no\nwhere"
    assert store.get_tree(kept_digest).entries[0].kind is EntryKind.LINK  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="is a symbolic link; put the file itself there, or say '--links"):
        store.add_folder(folder, rules=Rules(links="refuse"))
    (folder / "dangling").unlink()
    followed = store.add_folder(folder)
    assert store.get_tree(followed.digest.hex()).entries[0].size == 7  # type: ignore[arg-type]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../x", "../../x"])
def test_a_link_that_leads_out_is_never_written(target: str, tmp_path: Path, store: ObjectStore) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(target)
    kept = store.add_folder(tmp_path / "in", rules=Rules(links="keep"))
    with pytest.raises(InvalidInputError, match="leads out of its folder"):
        store.checkout(kept.digest.hex(), tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["CON", "aux.txt", "lpt9", "a?b", "end.", "end "])
def test_a_name_that_windows_reserves_is_named(name: str, tmp_path: Path, store: ObjectStore) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / name).write_bytes(b"x")
    with pytest.raises(InvalidInputError, match="on Windows") as refusal:
        store.add_folder(tmp_path / "in", rules=Rules(portable=True))
    assert repr(name) in refusal.value.message
    store.add_folder(tmp_path / "in")


def test_progress_is_told(folder: Path, store: ObjectStore) -> None:
    told: list[tuple[int, int]] = []
    added = store.add_folder(folder, progress=lambda files, size: told.append((files, size)))
    assert told[-1] == (added.files, added.size)
    assert told == sorted(told)


def test_a_link_that_leads_nowhere_is_named(folder: Path, store: ObjectStore) -> None:
    (folder / "29" / "lost").symlink_to("nowhere")
    with pytest.raises(NotFoundError, match=r"there is no .*/29/lost"):
        store.add_folder(folder)


@pytest.mark.usefixtures("helped")
def test_a_full_disk_of_a_worker_is_told_as_such(
    folder: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, "objects.append=enospc@1+")  # for the processes that begin now
    with pytest.raises(StorageFullError, match="no room left"):
        store.add_folder(folder)
    assert [key for key in store.blobs.list_keys("") if not key.startswith("leases/")] == []
    assert not list((tmp_path / "objects").glob(".tmp*"))


@pytest.mark.usefixtures("helped")
def test_a_worker_that_dies_is_reported_and_the_next_add_works(
    folder: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, "objects.rename=kill@1")
    with pytest.raises(UnavailableError, match="ended with -9; try it again"):
        store.add_folder(folder)
    monkeypatch.delenv(failpoints.VARIABLE)
    added = store.add_folder(folder)
    assert store.verify([added.digest.hex()]).passed  # type: ignore[list-item]


def test_a_file_that_grows_meanwhile_is_refused(tmp_path: Path) -> None:
    store = ObjectStore(LocalBlobStore(tmp_path / "o"))
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "log"
    path.write_bytes(bytes(40 << 20))
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as out:
            while not stop.is_set():
                out.write(b"more")
                out.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with pytest.raises(ConflictError, match="was changed while it was read"):
            for _ in range(20):
                store.add_folder(tmp_path / "in")
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("limit", "number"),
    [("ALONE = 5", signal.SIGINT), ("ALONE_SIZE = 1 << 20", signal.SIGINT), ("ALONE_SIZE = 1 << 20", signal.SIGKILL)],
)
def test_workers_end_with_who_started_them(limit: str, number: signal.Signals, folder: Path, tmp_path: Path) -> None:
    with (folder / "large").open("ab") as large:  # which takes two seconds
        large.write(random.Random(2).randbytes(30 << 20))
    program = (
        "import sys; from pathlib import Path\n"
        f"from penstock.storage.objects.folders import readers; readers.{limit}\n"
        "from penstock.storage.objects.open import open_object_store\n"
        "open_object_store(Path(sys.argv[1])).add_folder(Path(sys.argv[2]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "o", folder],
        env=dict(os.environ, PENSTOCK_FAILPOINTS="objects.append=sleep:0.03"),
        stderr=subprocess.DEVNULL,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (workers := children.read_text().split()):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(timeout=PATIENCE_S) != 0
    for worker in workers:
        for _ in range(500):
            if not Path(f"/proc/{worker}").exists():
                break
            time.sleep(0.01)
        else:
            pytest.fail(f"worker {worker} is still there")
    assert not list((tmp_path / "o").glob(".tmp*"))
