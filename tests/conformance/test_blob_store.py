"""What every blob store promises, whoever keeps the bytes; a new back end joins by one line in `blobs`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from penstock.core.errors import InvalidInputError, NotFoundError
from penstock.core.ids import Digest
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.cloud import CloudBlobStore
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_blobs
from storage.objects.small_chunks import FixedChunker

KEYS = ["a/b", "a.x", "a/b.c", "b/c/d", "a/b-c", "owner"]


@pytest.fixture(params=["local", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    match request.param:
        case "local":
            return LocalBlobStore(tmp_path / "objects")
        case "memory":
            return CloudBlobStore(MemoryStore(), "memory")
        case _:
            return open_blobs(f"{request.getfixturevalue('s3').new_bucket()}/some/prefix")


def test_a_blob_comes_back_whole_and_in_parts(blobs: BlobStore) -> None:
    assert blobs.put_if_absent("loose/ab/cd", b"0123456789")
    assert blobs.get("loose/ab/cd") == b"0123456789"
    assert blobs.get_range("loose/ab/cd", 3, 4) == b"3456"
    assert blobs.get_range("loose/ab/cd", 8, 10) == b"89"
    assert blobs.get_range("loose/ab/cd", 4, 0) == b""
    assert blobs.get_range("loose/ab/cd", 10, 5) == blobs.get_range("loose/ab/cd", 99, 1) == b""
    assert blobs.size("loose/ab/cd") == 10


@pytest.mark.parametrize(
    "data", [b"", bytearray(b"x" * 9), memoryview(b"0123456789")[2:5]], ids=["empty", "array", "view"]
)
def test_any_bytes_can_be_kept(blobs: BlobStore, data: bytes) -> None:
    assert blobs.put_if_absent("x", data)
    assert blobs.get("x") == bytes(data) and blobs.size("x") == len(data)


def test_a_taken_key_is_left_alone(blobs: BlobStore) -> None:
    assert blobs.put_if_absent("a", b"first")
    assert not blobs.put_if_absent("a", b"second")
    assert blobs.get("a") == b"first"


def test_what_is_not_there_is_not_found_and_deleting_it_is_no_error(blobs: BlobStore) -> None:
    blobs.put_if_absent("a", b"x")
    blobs.delete("a")
    blobs.delete("a")
    asks: list[Callable[[str], object]] = [
        blobs.get,
        blobs.size,
        lambda key: blobs.get_range(key, 0, 1),
        lambda key: blobs.get_range(key, 0, 0),
    ]
    for ask in asks:
        with pytest.raises(NotFoundError, match="there is no a"):
            ask("a")
    assert blobs.put_if_absent("a", b"again")


def test_keys_are_listed_in_order_and_by_any_beginning(blobs: BlobStore) -> None:
    assert list(blobs.list_keys("")) == []
    for key in KEYS:
        blobs.put_if_absent(key, b"")
    assert list(blobs.list_keys("")) == sorted(KEYS)
    assert list(blobs.list_keys("a/")) == ["a/b", "a/b-c", "a/b.c"]
    assert list(blobs.list_keys("a")) == ["a.x", "a/b", "a/b-c", "a/b.c"]
    assert list(blobs.list_keys("a/b.")) == ["a/b.c"]
    assert list(blobs.list_keys("none/")) == []


def test_more_keys_than_a_page_holds_are_all_listed(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "100")  # on a page of our S3's, in place of a thousand
    keys = [f"n/{number:05}" for number in range(250)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda key: blobs.put_if_absent(key, b"."), keys))
    assert list(blobs.list_keys("n/")) == keys


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "A", "a b", "a\n", "é", "x" * 300]
)
def test_a_key_that_could_lead_out_is_refused(blobs: BlobStore, key: str) -> None:
    asks: list[Callable[[], object]] = [
        lambda: blobs.put_if_absent(key, b""),
        lambda: blobs.get(key),
        lambda: blobs.get_range(key, 0, 1),
        lambda: blobs.delete(key),
        lambda: blobs.size(key),
    ]
    for ask in asks:
        with pytest.raises(InvalidInputError):
            ask()


def test_of_many_writers_of_one_key_exactly_one_is_first(blobs: BlobStore) -> None:
    for round_ in range(5):
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda n, key=f"k{round_}": blobs.put_if_absent(key, b"%d" % n), range(8)))
        assert told.count(True) == 1
        assert blobs.get(f"k{round_}") == b"%d" % told.index(True)


def test_a_blob_that_arrives_in_pieces_is_seen_when_it_is_published(blobs: BlobStore) -> None:
    writer = blobs.open_writer()
    pieces = [bytes([number]) * 400_000 for number in range(5)]
    for piece in pieces:
        writer.append(memoryview(piece))
    writer.seal()
    assert list(blobs.list_keys("")) == []
    assert writer.publish("packs/x.pack")
    writer.discard()
    assert blobs.get("packs/x.pack") == b"".join(pieces)

    second = blobs.open_writer()
    second.append(b"other")
    second.seal()
    assert not second.publish("packs/x.pack")
    second.discard()
    assert blobs.size("packs/x.pack") == 2_000_000

    third = blobs.open_writer()
    third.append(b"given up")
    third.discard()
    assert list(blobs.list_keys("")) == ["packs/x.pack"]


def test_an_object_store_stands_on_it(blobs: BlobStore, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"1,2\n" * 100)
    (folder / "sub" / "b.bin").write_bytes(bytes(range(256)) * 20)
    store = ObjectStore(blobs, chunker=FixedChunker(64), pack_size=2000)
    tree, single = store.put_tree(folder), store.put_bytes(b"alone")
    again = ObjectStore(blobs, chunker=FixedChunker(64))
    again.checkout(tree, tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "b.bin").read_bytes() == bytes(range(256)) * 20
    assert again.verify([tree, single]).problems == ()
    entry = again.find_file(tree, "sub/b.bin")
    assert again.read_range(entry.digest, 250, 12) == bytes(range(250, 256)) + bytes(range(6))
    assert not again.has(Digest("00" * 32))
