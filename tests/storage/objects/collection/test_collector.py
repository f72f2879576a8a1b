"""Collecting: condemned, waited for, deleted; and whatever happens meanwhile, what is needed can be read."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.core.errors import ConflictError, CorruptDataError
from penstock.core.ids import Digest
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.collection.types import CollectionReport
from penstock.storage.objects.folders.stat_cache import StatCache
from penstock.storage.objects.guarding.condemned import read_condemned
from penstock.storage.objects.guarding.leases import FOLDER as LEASES
from penstock.storage.objects.guarding.leases import WriterLease
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_blobs
from s3_server import S3Server

WEEK = timedelta(days=7)
COLLECT = """
import sys
from datetime import timedelta
from pathlib import Path
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.local import LocalBlobStore
now = float(sys.argv[2])
Collector(LocalBlobStore(Path(sys.argv[1])), lambda: sys.argv[3:], grace=timedelta(0), now=lambda: now).run()
"""


class Keeper:
    """A store, its references, and a clock that can be moved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = LocalBlobStore(folder / "o")
        self.ahead_s = 0.0
        self.references: list[Digest] = []

    def now(self) -> float:
        return 1_700_000_000.0 + self.ahead_s

    def open(self, *, lease: WriterLease | None = None) -> ObjectStore:
        return ObjectStore(self.blobs, pack_size=3000, lease=lease, now=self.now)

    def add(self, name: str, files: int = 12, *, text: str = "") -> Digest:
        return self.open().put_tree(self.make(name, files, text=text))

    def make(self, name: str, files: int = 12, *, text: str = "") -> Path:
        folder = self.folder / name
        for number in range(files):
            path = folder / f"d{number % 3}" / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text or name} {number} " * 20)
        return folder

    def collect(self, *, grace: timedelta = WEEK, thorough: bool = False, dry_run: bool = False) -> CollectionReport:
        self.ahead_s += 1
        return Collector(self.blobs, lambda: self.references, grace=grace, now=self.now, thorough=thorough).run(
            dry_run=dry_run
        )

    def wait(self, **time: float) -> None:
        self.ahead_s += timedelta(**time).total_seconds()

    def has(self, *roots: Digest) -> bool:
        return self.open().verify(roots).passed

    def list_keys(self, prefix: str = "") -> list[str]:
        return list(self.blobs.list_keys(prefix))


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def test_what_nothing_refers_to_is_condemned_waits_and_goes(keeper: Keeper) -> None:
    kept, dropped = keeper.add("kept"), keeper.add("dropped")
    alone = keeper.open().put_bytes(b"alone")
    keeper.references = [kept]
    first = keeper.collect()
    assert first.condemned.objects >= 16 and first.deleted.objects == 0 and first.waiting.size > 0
    assert first.next_at is not None and first.judged and not first.problems
    assert keeper.collect().condemned.objects == 0, "it is not condemned twice"
    keeper.wait(days=6)
    assert keeper.collect().deleted.objects == 0
    keeper.wait(days=2)
    gone = keeper.collect()
    assert gone.deleted.objects == first.condemned.objects and gone.deleted.size >= first.condemned.size
    assert keeper.has(kept)
    assert not keeper.open().has(dropped) and not keeper.open().has(alone)
    assert not list(read_condemned(keeper.blobs).places())


def test_a_dry_run_changes_nothing_and_says_the_same(keeper: Keeper) -> None:
    keeper.add("dropped")
    before = keeper.list_keys()
    told = keeper.collect(dry_run=True)
    assert keeper.list_keys() == before and told.condemned.objects > 10
    done = keeper.collect()
    assert (told.condemned, told.kept) == (done.condemned, done.kept)
    keeper.wait(days=8)
    before = keeper.list_keys()
    told = keeper.collect(dry_run=True)
    assert keeper.list_keys() == before and told.deleted == keeper.collect().deleted


def test_a_pack_of_which_a_part_is_needed_is_rewritten(keeper: Keeper) -> None:
    both = keeper.make("all", 30)
    (both / "d0").rename(both / "a")
    keeper.open().put_tree(both)
    part = keeper.open().put_tree(both / "a")
    keeper.references = [part]
    keeper.collect()
    keeper.wait(days=8)
    size = sum(keeper.blobs.size(key) for key in keeper.list_keys("packs/"))
    report = keeper.collect()
    assert report.rewritten > 0 and report.deleted.objects > 15
    assert sum(keeper.blobs.size(key) for key in keeper.list_keys("packs/")) < size / 2
    assert keeper.has(part)


def test_a_pack_of_which_little_is_due_is_rewritten_when_no_byte_may_stay(keeper: Keeper) -> None:
    folder = keeper.make("all", 30)
    both = keeper.open().put_tree(folder)
    (folder / "d0" / "0.txt").unlink()
    keeper.references = [keeper.open().put_tree(folder)]
    keeper.collect()
    keeper.wait(days=8)
    assert keeper.collect().rewritten == 0
    assert keeper.collect(thorough=True).rewritten > 0
    assert keeper.has(*keeper.references) and not keeper.has(both)


def test_a_store_that_was_open_reads_on_when_packs_are_rewritten(keeper: Keeper, tmp_path: Path) -> None:
    keeper.add("all", 30)
    part = keeper.open().put_tree(keeper.folder / "all" / "d1")
    reader = keeper.open()
    names = [path for path, _ in reader.list_files(part)]
    keeper.references = [part]
    keeper.collect()
    keeper.wait(days=8)
    assert keeper.collect().rewritten > 0
    assert [path for path, _ in reader.list_files(part)] == names
    reader.checkout(part, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 10


@pytest.mark.parametrize("point", ["hit before", "hit after", "again by a store that was open"])
def test_what_is_condemned_and_kept_again_stays(keeper: Keeper, point: str) -> None:
    opened = keeper.open()
    tree = opened.put_tree(keeper.make("data"))
    alone = opened.put_bytes(b"alone")
    keeper.collect()
    if point == "hit after":
        keeper.wait(days=8)
        keeper.collect()
        assert keeper.list_keys("packs/") == keeper.list_keys("loose/") == []
    keeper.wait(minutes=5)
    store = opened if point.startswith("again") else keeper.open()
    assert (store.put_tree(keeper.folder / "data"), store.put_bytes(b"alone")) == (tree, alone)
    keeper.wait(days=6)
    keeper.references = [tree, alone]
    keeper.wait(days=4)
    keeper.collect()
    assert keeper.has(tree, alone)
    keeper.wait(days=8)
    keeper.collect()
    assert keeper.has(tree, alone)
    assert keeper.open().verify().extra == ()


def test_what_is_condemned_may_not_be_relied_on(keeper: Keeper) -> None:
    tree, alone = keeper.add("data"), keeper.open().put_bytes(b"alone")
    assert keeper.open().has(tree) and keeper.open().has(alone)
    keeper.collect()
    assert not keeper.open().has(tree) and not keeper.open().has(alone)
    assert keeper.open().get_bytes(alone) == b"alone", "it can be read as long as it is there"


def test_files_that_did_not_change_are_kept_anew_when_what_was_kept_is_condemned(keeper: Keeper) -> None:
    folder = keeper.make("data")
    found = StatCache()
    time.sleep(0.06)  # what was changed just now may change again at the same moment
    added = keeper.open().add_folder(folder, found=found)
    assert added.read == 12
    assert keeper.open().add_folder(folder, known=found, found=StatCache()).read == 0
    keeper.collect()
    again = keeper.open().add_folder(folder, known=found, found=StatCache())
    assert again.read == 12
    keeper.references = [Digest(again.digest.hex())]
    keeper.wait(days=8)
    keeper.collect()
    assert keeper.has(*keeper.references)


def test_what_is_referred_to_again_is_needed_again(keeper: Keeper) -> None:
    tree = keeper.add("data")
    keeper.collect()
    keeper.references = [tree]
    assert keeper.collect().spared > 10
    keeper.wait(days=30)
    keeper.collect()
    assert keeper.has(tree) and not list(read_condemned(keeper.blobs).places())


def test_while_something_that_leads_on_is_damaged_nothing_is_judged(keeper: Keeper) -> None:
    kept, other = keeper.add("kept"), keeper.add("other")
    keeper.references = [kept, other]
    (pack,) = [
        key for key in keeper.list_keys("packs/") if key.endswith(".pack") and keeper.blobs.get(key).count(b"kept")
    ]
    path = keeper.folder / "o" / pack
    body = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(body[:-20] + bytes(20))  # trees are written last
    keeper.references = [kept]
    for _ in range(3):
        report = keeper.collect()
        assert not report.judged and report.deleted.objects == report.condemned.objects == 0
        assert any("is damaged, and leads nobody knows where" in problem for problem in report.problems)
        keeper.wait(days=8)
    path.write_bytes(body)
    assert keeper.collect().condemned.objects > 10
    keeper.wait(days=8)
    assert keeper.collect().deleted.objects > 10 and keeper.has(kept)


def test_a_missing_chunk_stops_nothing(keeper: Keeper) -> None:
    lost, dropped = keeper.open().put_bytes(b"lost"), keeper.add("dropped")
    keeper.references = [keeper.open().put_files({"a": next(keeper.open().list_files(keeper.add("kept")))[1]}), lost]
    (keeper.folder / "o" / f"loose/{lost[:2]}/{lost}").unlink()
    report = keeper.collect()
    assert not report.judged, "a root may lead on"
    keeper.references = keeper.references[:1]
    keeper.collect()
    keeper.wait(days=8)
    assert keeper.collect().deleted.objects > 10 and not keeper.open().has(dropped)


def test_a_damaged_index_is_named_and_left_alone(keeper: Keeper) -> None:
    kept = keeper.add("kept")
    keeper.references = [kept]
    before = set(keeper.list_keys("packs/"))
    keeper.add("dropped")
    index = next(key for key in keeper.list_keys("packs/") if key.endswith(".index") and key not in before)
    (keeper.folder / "o" / index).chmod(0o644)
    (keeper.folder / "o" / index).write_bytes(b"not an index")
    keeper.collect()
    keeper.wait(days=8)
    report = keeper.collect()
    assert report.problems == (f"the index of pack {index[6:-6]} is damaged",)
    assert index in keeper.list_keys() and keeper.has(kept) is False
    assert keeper.open().verify([kept]).missing == ()


def test_a_pack_without_an_index_goes_once_it_is_old(keeper: Keeper) -> None:
    keeper.blobs.put_if_absent("packs/" + "ab" * 32 + ".pack", b"left by a writer that was killed")
    assert keeper.collect().condemned.size == 32
    keeper.wait(days=8)
    assert keeper.collect().deleted.size == 32 and keeper.list_keys("packs/") == []


def test_a_process_at_work_holds_back_what_it_may_rely_on(keeper: Keeper) -> None:
    lease = WriterLease(keeper.blobs, now=keeper.now, beats=False)
    keeper.open(lease=lease).put_bytes(b"for later")
    keeper.wait(minutes=1)
    lease.beat()
    keeper.collect(grace=timedelta(0))
    keeper.wait(minutes=1)
    lease.beat()
    report = keeper.collect(grace=timedelta(0))
    assert report.deleted.objects == 0 and len(report.held_by) == 1
    keeper.wait(days=30)  # without a heartbeat: it is stopped, and not dead, as its process lives
    assert keeper.collect(grace=timedelta(0)).deleted.objects == 0
    lease.beat()
    keeper.wait(minutes=30)
    assert keeper.collect(grace=timedelta(0)).deleted.objects == 0, "it has just woken up"
    for _ in range(70):
        keeper.wait(minutes=1)
        lease.beat()
    assert keeper.collect(grace=timedelta(0)).deleted.objects == 1
    lease.release()
    assert keeper.list_keys(LEASES) == []


def test_the_lease_of_a_dead_process_holds_nothing_back(keeper: Keeper) -> None:
    script = f"""
import os, signal
from pathlib import Path
from penstock.storage.objects.open import open_object_store
store = open_object_store({str(keeper.folder / "o")!r})
store.put_bytes(b"x" * 10)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert len(keeper.list_keys(LEASES)) == 1
    keeper.collect(grace=timedelta(0))
    assert keeper.collect(grace=timedelta(0)).deleted.objects == 1
    assert keeper.list_keys(LEASES) == []


def test_a_process_that_ends_lets_go_of_its_lease(keeper: Keeper) -> None:
    script = f"""
from penstock.storage.objects.open import open_object_store
store = open_object_store({str(keeper.folder / "o")!r})
store.put_bytes(b"x" * 10)
print(len(list(store.blobs.list_keys("leases/"))))
"""
    assert subprocess.check_output([sys.executable, "-c", script]) == b"1\n"
    assert keeper.list_keys(LEASES) == []


POINTS = ["condemned", "index", "pack", "loose", "rewritten"]


@pytest.mark.parametrize("passing", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_collection_that_is_killed_loses_nothing_and_the_next_one_goes_on(
    keeper: Keeper, point: str, passing: int
) -> None:
    kept = keeper.add("kept")
    keeper.add("mixed", 40)
    part = keeper.open().put_tree(keeper.folder / "mixed" / "d1")
    keeper.add("dropped")
    for number in range(4):
        keeper.open().put_bytes(b"dropped %d" % number)
    keeper.references = [kept, part]
    if point != "condemned":
        keeper.collect(grace=timedelta(0))
    keeper.wait(minutes=1)
    command = [sys.executable, "-c", COLLECT, str(keeper.folder / "o"), str(keeper.now()), kept, part]
    killed = dict(os.environ, PENSTOCK_FAILPOINTS=f"objects.collect.{point}=kill@{passing}")
    code = subprocess.run(command, env=killed, check=False).returncode
    assert code == -9 or passing > 1, "the point was passed at least once"
    assert keeper.has(kept, part)
    for _ in range(3):
        keeper.wait(minutes=1)
        keeper.collect(grace=timedelta(0))
    assert keeper.list_keys("loose/") == [] and not list(read_condemned(keeper.blobs).places())
    assert keeper.open().verify([kept, part]).problems == ()


def test_a_collector_that_lost_its_right_stops(keeper: Keeper) -> None:
    keeper.add("dropped")
    keeper.collect()
    keeper.wait(days=8)

    def refuse() -> None:
        raise ConflictError("somebody else collects")

    before = keeper.list_keys()
    with pytest.raises(ConflictError):
        Collector(keeper.blobs, lambda: [], grace=WEEK, renew=refuse, now=keeper.now).run()
    assert keeper.list_keys() == before


def test_a_state_that_is_damaged_is_told(keeper: Keeper) -> None:
    keeper.add("dropped")
    keeper.collect()
    (key,) = keeper.list_keys("condemned/")
    (keeper.folder / "o" / key).chmod(0o644)
    (keeper.folder / "o" / key).write_bytes(b"{")
    with pytest.raises(CorruptDataError, match=key):
        keeper.collect()


def test_a_bucket_is_collected_as_a_folder_is(s3: S3Server, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.blobs = open_blobs(f"{s3.new_bucket()}/x")  # type: ignore[assignment]
    kept = keeper.add("kept")
    keeper.add("dropped", 30)
    keeper.references = [kept]
    keeper.collect()
    keeper.wait(days=8)
    assert keeper.collect().deleted.objects > 30
    assert keeper.has(kept)
