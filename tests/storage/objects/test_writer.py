"""A file that arrives in pieces: the digest of the whole, whatever the pieces; torn, it was never there."""

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core import failpoints
from penstock.core.errors import StorageFullError
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from storage.objects.small_chunks import FixedChunker

CHUNK = 64
FEW = settings(max_examples=40, deadline=None)  # every example syncs a dozen files
CHILD = """
import random, sys
from pathlib import Path
from penstock.storage.objects.open import open_object_store
chance = random.Random(1)
with open_object_store(Path(sys.argv[1])).open_writer() as writer:
    for _ in range(60):
        writer.write(chance.randbytes(100_000))
    print(writer.finish(), flush=True)
"""


@pytest.fixture(autouse=True)
def _no_failpoints() -> object:
    yield
    failpoints.arm("")


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_small(tmp_path / "objects")


def open_small(folder: Path) -> ObjectStore:
    """A store in which small data makes large files and several packs."""
    return ObjectStore(LocalBlobStore(folder), chunker=FixedChunker(CHUNK), pack_size=300)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@FEW
@given(data=st.binary(max_size=900), cuts=st.lists(st.integers(0, 900), max_size=12))
def test_the_pieces_make_no_difference(data: bytes, cuts: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = open_small(tmp_path_factory.mktemp("objects"))
    ends = [*sorted(cut for cut in cuts if cut < len(data)), len(data)]
    with store.open_writer() as writer:
        for start, end in zip([0, *ends], ends, strict=False):
            writer.write(data[start:end])
        digest = writer.finish()
        assert writer.size == len(data)
    assert store.get_bytes(digest) == data
    assert store.size(digest) == len(data)
    assert store.verify([digest]).problems == ()
    (tmp_path_factory.getbasetemp() / "same").write_bytes(data)
    assert store.put_file(tmp_path_factory.getbasetemp() / "same") == digest


def test_a_small_file_is_one_loose_object(store: ObjectStore, tmp_path: Path) -> None:
    for data in (b"", b"x", b"x" * CHUNK):
        with store.open_writer() as writer:
            writer.write(data)
            assert store.get_bytes(writer.finish()) == data
    assert len(names(tmp_path / "objects" / "loose")) == 3
    assert not (tmp_path / "objects" / "packs").exists()


def test_what_is_kept_already_is_not_written_again(store: ObjectStore, tmp_path: Path) -> None:
    data = os.urandom(1000)
    first = store.put_bytes(data)
    before = names(tmp_path)
    assert store.put_bytes(data) == first
    assert names(tmp_path) == before
    repeated = store.put_bytes(data[:CHUNK] * 20)
    assert len(names(tmp_path) - before) == 2  # a pack with nothing but the list of chunks, and its index
    assert store.get_bytes(repeated) == data[:CHUNK] * 20


@pytest.mark.parametrize("size", [10, 200, 5_000])
def test_an_abandoned_file_leaves_nothing(size: int, store: ObjectStore, tmp_path: Path) -> None:
    with store.open_writer() as writer:
        writer.write(os.urandom(size))
    assert names(tmp_path) == set()
    with pytest.raises(RuntimeError), store.open_writer() as writer:
        writer.write(os.urandom(size))
        raise RuntimeError
    assert names(tmp_path) == set()


@pytest.mark.parametrize("point", ["objects.append", "objects.fsync"])
@pytest.mark.parametrize("passing", [1, 3, 7])
def test_a_full_disk_leaves_nothing(point: str, passing: int, store: ObjectStore, tmp_path: Path) -> None:
    failpoints.arm(f"{point}=enospc@{passing}")
    with pytest.raises(StorageFullError) as refusal, store.open_writer() as writer:
        writer.write(os.urandom(3_000))
        writer.finish()
    assert str(tmp_path) not in str(refusal.value)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("point", "passing"),
    [("append", 1), ("append", 4), ("append", 6), ("fsync", 1), ("fsync", 2), ("rename", 1), ("rename", 2)],
)
def test_a_killed_writer_leaves_nothing_that_can_be_read(point: str, passing: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "objects")]
    killed = dict(os.environ, PENSTOCK_FAILPOINTS=f"objects.{point}=kill@{passing}")
    assert subprocess.run(command, env=killed, capture_output=True, check=False).returncode == -9

    blobs = LocalBlobStore(tmp_path / "objects")
    assert not [key for key in blobs.list_keys("") if not (key.endswith(".pack") or key.startswith("leases/"))]
    assert blobs.sweep(timedelta(seconds=-1)) == 1
    assert not list(blobs.folder.glob(".*"))
    whole = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    store = open_object_store(tmp_path / "objects")
    chance = random.Random(1)
    assert store.get_bytes(whole) == b"".join(chance.randbytes(100_000) for _ in range(60))  # type: ignore[arg-type]
    assert store.verify([whole]).passed  # type: ignore[list-item]


def test_several_writers_at_once_do_not_disturb_each_other(store: ObjectStore) -> None:
    shared = os.urandom(2_000)

    def put(number: int) -> tuple[str, bytes]:
        data = shared + bytes([number]) * (number * 37) + shared
        with store.open_writer() as writer:
            for start in range(0, len(data), 53):
                writer.write(data[start : start + 53])
            return writer.finish(), data

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(put, range(40)))
    for digest, data in kept:
        assert store.get_bytes(digest) == data  # type: ignore[arg-type]
    assert store.verify([digest for digest, _ in kept]).passed  # type: ignore[misc]


@FEW
@given(parts=st.lists(st.integers(0, 5).map(lambda n: n * CHUNK) | st.integers(0, 300), max_size=6))
def test_joined_files_are_the_file_of_all_their_bytes(
    parts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = open_small(tmp_path_factory.mktemp("objects"))
    contents = [os.urandom(length) for length in parts]
    joined = store.join([store.put_bytes(content) for content in contents])
    assert joined == store.put_bytes(b"".join(contents))
    assert store.get_bytes(joined) == b"".join(contents)
    assert store.verify([joined]).passed
