"""What a version needs moves between stores: once, checked, in few requests, and on from where it was stopped."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.core.errors import ConflictError, CorruptDataError, NotFoundError, UnavailableError
from penstock.core.ids import Digest
from penstock.storage.objects import store_view
from penstock.storage.objects.keys import LOOSE_FOLDER
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_blobs
from penstock.storage.objects.transfer import copying
from penstock.storage.objects.transfer.copying import pull, push
from penstock.storage.objects.transfer.types import Progress
from s3_server import S3Server
from storage.objects.small_chunks import FixedChunker

PUSH = """
import sys
from penstock.storage.objects.open import open_blobs
from penstock.storage.objects.transfer.copying import push
print(push(open_blobs(sys.argv[1]), open_blobs(sys.argv[2]), sys.argv[3:]).packs)
"""


def open_store(place: Path | str, *, pack_size: int = 4000) -> ObjectStore:
    return ObjectStore(open_blobs(place), chunker=FixedChunker(300), pack_size=pack_size)


def make_folder(folder: Path, count: int, size: int = 100) -> Path:
    for number in range(count):
        path = folder / f"{number % 10:02}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{folder.name} {number} ".encode() + os.urandom(size // 2) * 2)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def keys_of(store: ObjectStore, prefix: str = "") -> set[str]:
    return set(store.blobs.list_keys(prefix))


@pytest.fixture
def here(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path / "here")


@pytest.fixture
def remote(s3: S3Server) -> ObjectStore:
    return open_store(f"{s3.new_bucket()}/shared")


def test_what_is_pushed_can_be_pulled_elsewhere_and_is_the_same(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "in", 60)
    (folder / "large.bin").write_bytes(os.urandom(5000))
    (folder / "empty").touch()
    tree, alone = here.put_tree(folder), here.put_bytes(b"alone")
    told: list[Progress] = []
    done = push(here.blobs, remote.blobs, [tree, alone], told.append)
    assert done.packs == len(keys_of(remote, "packs/")) / 2 > 2 and done.present == 0
    assert told[-1].done == told[-1].total > 0 and all(a.done <= b.done for a, b in itertools.pairwise(told))
    assert keys_of(remote, LOOSE_FOLDER) == set()
    assert remote.verify([tree, alone]).problems == ()

    there = open_store(tmp_path / "there")
    assert pull(there.blobs, remote.blobs, [tree, alone]).objects == done.objects
    assert there.verify([tree, alone]).problems == ()
    there.checkout(tree, tmp_path / "out")
    assert files_of(tmp_path / "out") == files_of(folder)
    assert there.get_bytes(alone) == b"alone"


def test_what_is_there_already_is_not_sent_again(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path, s3: S3Server
) -> None:
    folder = make_folder(tmp_path / "in", 60)
    first = here.put_tree(folder)
    push(here.blobs, remote.blobs, [first])
    before = keys_of(remote)
    with s3.counting() as counted:
        again = push(here.blobs, remote.blobs, [first])
    assert (again.packs, again.size, again.present) == (0, 0, again.objects)
    assert [each.method for each in counted] == ["GET"], "one listing"
    (folder / "new.txt").write_text("one more")
    second = here.put_tree(folder)
    grown = push(here.blobs, remote.blobs, [second])
    assert grown.packs == 1 and grown.objects - grown.present == 2
    assert len(keys_of(remote) - before) == 2 and keys_of(remote) > before
    assert open_store(remote_place(remote)).verify([first, second]).problems == ()


def remote_place(store: ObjectStore) -> str:
    return store.blobs.shown  # type: ignore[attr-defined,no-any-return]


def test_loose_objects_and_parts_of_packs_are_packed_on_the_way(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path
) -> None:
    loose = [here.put_bytes(f"artifact {number}".encode()) for number in range(50)]
    trees = [here.put_tree(make_folder(tmp_path / f"in{number}", 4)) for number in range(3)]
    one_pack = open_store(tmp_path / "one", pack_size=1 << 20)
    for number in range(3):
        make_folder(tmp_path / "all" / f"in{number}", 1)
    one_pack.put_tree(tmp_path / "all")
    few = [next(one_pack.list_files(one_pack.put_tree(tmp_path / "all" / "in1")))[1].digest]
    done = push(here.blobs, remote.blobs, [*loose, trees[0]])
    assert done.packs == 2 and keys_of(remote, LOOSE_FOLDER) == set()
    assert push(one_pack.blobs, remote.blobs, few).objects == 1
    assert len(keys_of(remote, "packs/")) == 6
    fresh = open_store(remote_place(remote))
    assert [fresh.get_bytes(digest) for digest in loose] == [f"artifact {number}".encode() for number in range(50)]
    assert fresh.verify([*loose, trees[0], *few]).problems == ()
    assert not fresh.has(trees[1])


@pytest.mark.parametrize("files", [1500, pytest.param(50_000, marks=pytest.mark.slow)])
def test_a_push_costs_two_requests_for_each_pack_and_a_few_more(
    remote: ObjectStore, tmp_path: Path, s3: S3Server, files: int
) -> None:
    here = open_store(tmp_path / "here", pack_size=files * 30)
    tree = here.put_tree(make_folder(tmp_path / "in", files))
    with s3.counting() as counted:
        done = push(here.blobs, remote.blobs, [tree])
    assert done.packs >= 3
    assert len(counted) <= 2 * done.packs + 2
    assert {each.method for each in counted} == {"GET", "PUT"}
    assert done.objects > files


def test_a_version_is_pulled_alone_from_a_store_with_much_else(
    here: ObjectStore, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = open_store(f"{s3.new_bucket()}/x", pack_size=1 << 20)
    for number in range(40):
        make_folder(tmp_path / "all" / f"in{number}", 20, size=1000)
    crowded.put_tree(tmp_path / "all")
    wanted = crowded.put_tree(tmp_path / "all" / "in7")
    size_of_all = sum(crowded.blobs.size(key) for key in keys_of(crowded, "packs/"))
    monkeypatch.setattr(copying, "_FAR_GAP", 4096)
    read: list[int] = []
    real = type(crowded.blobs).get_range
    monkeypatch.setattr(
        type(crowded.blobs),
        "get_range",
        lambda self, key, offset, length: read.append(length) or real(self, key, offset, length),
    )
    with s3.counting() as counted:
        done = pull(here.blobs, crowded.blobs, [wanted])
    assert done.size < size_of_all / 20 and sum(read) < size_of_all / 10
    assert len(counted) < 40
    assert here.verify([wanted]).problems == ()
    here.checkout(wanted, tmp_path / "out")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "all" / "in7")


def test_hints_spare_looking_into_every_index(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path, s3: S3Server
) -> None:
    for number in range(8):
        remote.put_tree(make_folder(tmp_path / f"other{number}", 3))
    before = keys_of(remote, "packs/")
    tree = remote.put_tree(make_folder(tmp_path / "mine", 3))
    mine = [key[6:-6] for key in keys_of(remote, "packs/") - before if key.endswith(".index")]
    with s3.counting() as counted:
        pull(here.blobs, remote.blobs, [tree], hints=mine)
    assert len([each for each in counted if each.path.endswith(".index")]) == len(mine)
    assert here.verify([tree]).problems == ()
    elsewhere = open_store(tmp_path / "elsewhere")
    pull(elsewhere.blobs, remote.blobs, [tree], hints=["00" * 32])
    assert elsewhere.verify([tree]).problems == ()


def test_what_is_here_already_is_not_fetched(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path, s3: S3Server
) -> None:
    folder = make_folder(tmp_path / "in", 40)
    first = remote.put_tree(folder)
    pull(here.blobs, remote.blobs, [first])
    (folder / "new.txt").write_text("one more")
    second = remote.put_tree(folder)
    done = pull(here.blobs, remote.blobs, [second])
    assert done.objects - done.present == 2 and done.packs == 1
    assert here.verify([first, second]).problems == ()


@pytest.mark.parametrize("point", ["objects.transfer.pack", "objects.transfer.published"])
def test_a_killed_push_goes_on_with_the_rest(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path, point: str
) -> None:
    tree = here.put_tree(make_folder(tmp_path / "in", 400))
    count = len(keys_of(here, "packs/")) // 2
    command = [sys.executable, "-c", PUSH, str(tmp_path / "here"), remote_place(remote), tree]
    killed = dict(os.environ, PENSTOCK_FAILPOINTS=f"{point}=kill@{count - 2}")
    assert subprocess.run(command, env=killed, check=False).returncode == -9
    there = len([key for key in keys_of(remote, "packs/") if key.endswith(".index")])
    assert 0 < there < count
    assert not open_store(remote_place(remote)).has(tree), "a root is there only when all it needs is"
    copied = int(subprocess.check_output(command))
    assert 0 < copied <= count - there, "one that was on its way to a bucket may have arrived since"
    assert open_store(remote_place(remote)).verify([tree]).problems == ()


def test_a_pack_that_was_left_without_its_index_is_used(here: ObjectStore, remote: ObjectStore, tmp_path: Path) -> None:
    tree = here.put_tree(make_folder(tmp_path / "in", 10))
    name = next(key for key in keys_of(here, "packs/") if key.endswith(".pack"))
    remote.blobs.put_if_absent(name, here.blobs.get(name))
    push(here.blobs, remote.blobs, [tree])
    assert open_store(remote_place(remote)).verify([tree]).problems == ()
    other = open_store(f"{remote_place(remote)}-other")
    other.blobs.put_if_absent(name, b"something else")
    with pytest.raises(ConflictError, match="is there with 14 bytes instead of"):
        push(here.blobs, other.blobs, [tree])


def test_damage_is_never_copied(here: ObjectStore, remote: ObjectStore, tmp_path: Path) -> None:
    tree = here.put_tree(make_folder(tmp_path / "in", 10))
    pack = next((tmp_path / "here" / "packs").glob("*.pack"))
    good = pack.read_bytes()
    pack.chmod(0o644)
    pack.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])
    with pytest.raises(CorruptDataError, match="is damaged"):
        push(here.blobs, remote.blobs, [tree])
    assert keys_of(remote) == set()


def test_what_is_nowhere_is_named(here: ObjectStore, remote: ObjectStore) -> None:
    with pytest.raises(NotFoundError, match="there is no object " + "ab" * 32):
        push(here.blobs, remote.blobs, [Digest("ab" * 32)])
    with pytest.raises(NotFoundError, match="there is no object " + "ab" * 32):
        pull(here.blobs, remote.blobs, [Digest("ab" * 32)])


def test_a_remote_that_fails_in_the_middle_leaves_nothing_half(
    here: ObjectStore, remote: ObjectStore, tmp_path: Path, s3: S3Server
) -> None:
    tree = here.put_tree(make_folder(tmp_path / "in", 120))
    puts: list[str] = []

    def fail_later(request: object) -> tuple[int, str] | None:
        if request.method == "PUT":  # type: ignore[attr-defined]
            puts.append(request.path)  # type: ignore[attr-defined]
        return (400, "Broken") if len(puts) > 5 else None

    with s3.answering(fail_later), pytest.raises(UnavailableError):
        push(here.blobs, remote.blobs, [tree])
    assert not open_store(remote_place(remote)).has(tree)
    push(here.blobs, remote.blobs, [tree])
    assert open_store(remote_place(remote)).verify([tree]).problems == ()


def test_a_pack_that_vanishes_is_told(here: ObjectStore, tmp_path: Path) -> None:
    tree = here.put_tree(make_folder(tmp_path / "in", 3))
    for pack in (tmp_path / "here" / "packs").glob("*.pack"):
        pack.unlink()
    with pytest.raises(NotFoundError):
        push(LocalBlobStore(tmp_path / "here"), LocalBlobStore(tmp_path / "out"), [tree])


def test_few_reads_are_ahead_of_what_is_taken() -> None:
    from concurrent.futures import ThreadPoolExecutor

    started: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        results = store_view.run_ahead(pool, lambda item: started.append(item) or item, range(100), limit=5)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(started) <= 8
        assert list(results) == list(range(3, 100))
