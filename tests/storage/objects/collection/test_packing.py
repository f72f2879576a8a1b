"""Loose objects become packs while others read and write, and whatever happens, none is lost."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.core.errors import ConflictError
from penstock.core.ids import Digest
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.collection.packing import LoosePacker, Packed
from penstock.storage.objects.format import parse_digest, to_digest
from penstock.storage.objects.keys import LOOSE_FOLDER, loose_key
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.store_view import StoreView
from penstock.storage.objects.transfer.copying import push

PACK = """
import sys
from pathlib import Path
from penstock.storage.objects.collection.packing import LoosePacker
from penstock.storage.objects.local import LocalBlobStore
LoosePacker(LocalBlobStore(Path(sys.argv[1])), fewest=2, pack_size=2000).run()
"""


class PackedOnRead(LocalBlobStore):
    """A store whose loose objects are packed by somebody else just before the first of them is read."""

    def get(self, key: str) -> bytes:
        if key.startswith(LOOSE_FOLDER):
            LoosePacker(LocalBlobStore(self.folder), fewest=2).run()
        return super().get(key)


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "o")


def fill(blobs: LocalBlobStore, count: int, start: int = 0) -> dict[Digest, bytes]:
    """Keep small files one by one."""
    store = ObjectStore(blobs)
    return {store.put_bytes(data): data for data in (b"small %d " % n * 20 for n in range(start, start + count))}


def check_all(blobs: LocalBlobStore, kept: dict[Digest, bytes]) -> None:
    store = ObjectStore(blobs)
    assert {digest: store.get_bytes(digest) for digest in kept} == kept
    report = store.verify(kept)
    assert report.passed and not report.extra


def loose(blobs: LocalBlobStore) -> list[str]:
    return list(blobs.list_keys(LOOSE_FOLDER))


def test_a_few_are_left_alone_and_many_become_one_pack(blobs: LocalBlobStore) -> None:
    kept = fill(blobs, 19)
    packer = LoosePacker(blobs, fewest=20)
    assert not packer.is_due() and packer.run() == Packed()
    kept |= fill(blobs, 1, start=20)
    was_open = ObjectStore(blobs)
    first = next(iter(kept))
    assert was_open.get_bytes(first) == kept[first]
    assert packer.is_due() and packer.run() == Packed(20, 1)
    assert loose(blobs) == [] and len(list(blobs.list_keys("packs/"))) == 2
    assert {digest: was_open.get_bytes(digest) for digest in kept} == kept
    check_all(blobs, kept)
    assert was_open.put_bytes(kept[first]) == first and loose(blobs) == [], "it is known where it stands now"
    assert packer.run() == Packed()


def test_a_pack_has_a_size(blobs: LocalBlobStore) -> None:
    kept = fill(blobs, 40)
    assert LoosePacker(blobs, fewest=2, pack_size=2000).run().packs >= 3
    assert len(loose(blobs)) <= 1
    check_all(blobs, kept)


@pytest.mark.parametrize("point", ["published", "deleted"])
@pytest.mark.parametrize("passing", [1, 2])
def test_a_process_that_is_killed_leaves_every_object_and_the_next_one_goes_on(
    blobs: LocalBlobStore, point: str, passing: int
) -> None:
    kept = fill(blobs, 40)
    killed = dict(os.environ, PENSTOCK_FAILPOINTS=f"objects.packing.{point}=kill@{passing}")
    command = [sys.executable, "-c", PACK, str(blobs.folder)]
    assert subprocess.run(command, env=killed, check=False).returncode == -9
    check_all(blobs, kept)
    assert subprocess.run(command, check=False).returncode == 0
    assert len(loose(blobs)) <= 1
    check_all(blobs, kept)


def test_a_full_disk_changes_nothing(blobs: LocalBlobStore) -> None:
    kept = fill(blobs, 40)
    before = list(blobs.list_keys(""))
    full = dict(os.environ, PENSTOCK_FAILPOINTS="objects.append=enospc")
    done = subprocess.run([sys.executable, "-c", PACK, str(blobs.folder)], env=full, check=False, capture_output=True)
    assert done.returncode == 1 and b"no room" in done.stderr
    assert list(blobs.list_keys("")) == before
    check_all(blobs, kept)


def test_whoever_lost_the_right_stops(blobs: LocalBlobStore) -> None:
    kept = fill(blobs, 40)
    passes = iter(range(100))

    def renew() -> None:
        if next(passes) == 10:
            raise ConflictError("somebody else collects")

    with pytest.raises(ConflictError):
        LoosePacker(blobs, renew=renew, fewest=2).run()
    assert 0 < len(loose(blobs)) < 40
    check_all(blobs, kept)


def test_condemned_objects_stay_as_they_are_and_their_pack_gets_another_name(blobs: LocalBlobStore) -> None:
    moment = iter(range(1_700_000_000, 1_800_000_000))

    def collect(needed: list[Digest], grace: timedelta = timedelta(days=7)) -> None:
        Collector(blobs, lambda: needed, grace=grace, now=lambda: float(next(moment))).run()

    kept = fill(blobs, 10)
    LoosePacker(blobs, fewest=2).run()
    (first,) = {key.rpartition(".")[0] for key in blobs.list_keys("packs/")}
    collect([])
    assert fill(blobs, 10) == kept and len(loose(blobs)) == 10, "no condemned copy is relied on"
    dropped = fill(blobs, 5, start=50)
    collect(list(kept))
    assert LoosePacker(blobs, fewest=2).run() == Packed(10, 1)
    assert len(loose(blobs)) == 5 and not LoosePacker(blobs, fewest=2).is_due()
    second = {key.rpartition(".")[0] for key in blobs.list_keys("packs/")} - {first}
    assert len(second) == 1, "the same objects under the condemned name would go with it"
    for _ in range(3):
        collect(list(kept), timedelta(0))
    check_all(blobs, kept)
    assert loose(blobs) == [] and not any(ObjectStore(blobs).has(digest) for digest in dropped)


def test_a_damaged_object_is_left_to_be_mended(blobs: LocalBlobStore) -> None:
    kept = fill(blobs, 10)
    bad = next(iter(kept))
    path = blobs.folder / loose_key(parse_digest(bad))
    path.chmod(0o600)
    path.write_bytes(b"B1something else")
    assert LoosePacker(blobs, fewest=2).run() == Packed(9, 1)
    assert [problem.name for problem in ObjectStore(blobs).verify().damaged] == [bad]


def test_whoever_listed_an_object_before_it_was_packed_finds_it(blobs: LocalBlobStore, tmp_path: Path) -> None:
    kept = fill(blobs, 20)
    with ThreadPoolExecutor(2) as pool:
        view = StoreView(blobs, pool, gap=0)
        wanted = [(digest, "loose") for digest in view.loose]
        LoosePacker(blobs, fewest=2).run()
        read = {to_digest(digest): bytes(stored)[2:] for digest, stored in view.read(wanted)}  # type: ignore[arg-type]
    assert read == kept
    fill(blobs, 20, start=20)
    assert ObjectStore(PackedOnRead(blobs.folder)).verify(kept).passed
    fill(blobs, 20, start=40)
    remote = LocalBlobStore(tmp_path / "remote")
    assert push(PackedOnRead(blobs.folder), remote, sorted(kept)).objects == 20
    check_all(remote, kept)


def test_readers_and_writers_notice_nothing(blobs: LocalBlobStore) -> None:
    kept = fill(blobs, 60)
    ended = threading.Event()
    problems: list[BaseException] = []

    def again_and_again(work: Callable[[int], None]) -> None:
        number = 0
        while not ended.is_set():
            try:
                work(number)
            except BaseException as error:
                problems.append(error)
                return
            number += 1

    def read(number: int) -> None:
        store = ObjectStore(blobs)
        for digest, data in list(kept.items())[:60]:
            assert store.get_bytes(digest) == data

    def write(number: int) -> None:
        kept.update(fill(blobs, 20, start=1000 + number % 20 * 20))

    def verify(number: int) -> None:
        assert ObjectStore(blobs).verify(list(kept)).passed

    threads = [threading.Thread(target=again_and_again, args=(work,)) for work in (read, read, write, verify)]
    for thread in threads:
        thread.start()
    packer = LoosePacker(blobs, fewest=2)
    done = [packer.step() for _ in range(6)]
    ended.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sum(each.packs for each in done) >= 2
    check_all(blobs, kept)
