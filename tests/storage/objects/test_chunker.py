"""Cuts depend on the content alone, and a change moves only those near it."""

import random
from pathlib import Path

import pytest

from penstock.storage.objects.chunker import ContentChunker
from penstock.storage.objects.cutting import CutFile
from penstock.storage.objects.format import decode_parts, to_digest
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.pack_writer import PackWriter

MB = 1 << 20


def cuts(data: bytes) -> list[int]:
    chunker, rest, lengths = ContentChunker(), memoryview(data), []
    while rest:
        lengths.append(chunker.cut(rest[: chunker.largest]))
        rest = rest[lengths[-1] :]
    return lengths


def stored(store: ObjectStore) -> int:
    return sum(store.blobs.size(key) for key in store.blobs.list_keys(""))


def test_the_cuts_are_those_of_every_release() -> None:
    # Other cuts would be right as well, but nothing kept before would be shared with anything kept after.
    assert cuts(random.Random(7).randbytes(8 * MB)) == [
        848218,
        878486,
        1379283,
        1182347,
        754311,
        1149150,
        1082757,
        1114056,
    ]
    assert cuts(bytes(9 * MB)) == [4 * MB, 4 * MB, MB]


@pytest.mark.parametrize("block_size", [4 * MB, 4 * MB + 1, 5 * MB - 7, 16 * MB])
def test_the_cuts_do_not_know_where_a_block_ends(block_size: int, tmp_path: Path) -> None:
    chance = random.Random(5)
    data = b"".join([chance.randbytes(9 * MB), bytes(9 * MB + 3), chance.randbytes(7 * MB), b"line\n" * MB])
    blobs = LocalBlobStore(tmp_path / "o")
    with PackWriter(blobs, knows=lambda digest: False, written=lambda name, index: None, block_size=block_size) as pack:
        file = CutFile(pack, ContentChunker())
        rest = memoryview(data)
        while rest:
            room = file.room()
            length = min(len(room), len(rest), chance.randrange(1, 3 * MB))
            room[:length] = rest[:length]
            file.advance(length)
            rest = rest[length:]
        digest = to_digest(file.finish())
        pack.flush()
    store = ObjectStore(blobs)
    _, parts = store.read_object(bytes.fromhex(digest))
    assert [length for _, length in decode_parts(parts)] == cuts(data)
    assert store.get_bytes(digest) == data


@pytest.mark.parametrize(
    "where", [pytest.param("start", marks=pytest.mark.slow), "middle", pytest.param("end", marks=pytest.mark.slow)]
)
def test_a_change_of_one_percent_costs_little_more(where: str, tmp_path: Path) -> None:
    store = ObjectStore(LocalBlobStore(tmp_path / "o"))
    data = random.Random(1).randbytes(128 * MB)
    path = tmp_path / "data"
    path.write_bytes(data)
    store.put_file(path)
    before = stored(store)
    place = {"start": 0, "middle": len(data) // 2, "end": len(data)}[where]
    path.write_bytes(data[:place] + random.Random(2).randbytes(len(data) // 100) + data[place:])
    digest = store.put_file(path)
    assert stored(store) - before < 0.04 * len(data)  # of 1 GB it is under 0.015: what is more are two chunks
    assert store.get_bytes(digest) == path.read_bytes()


def test_a_file_that_is_not_cut_is_one_object(tmp_path: Path) -> None:
    store = ObjectStore(LocalBlobStore(tmp_path / "o"))
    for size in (ContentChunker.whole, ContentChunker.whole + 1):
        path = tmp_path / "data"
        path.write_bytes(random.Random(size).randbytes(size))
        tree = store.put_files({"data": path})
        assert store.get_tree(tree).entries[0].digest == store.put_file(path) == store.put_bytes(path.read_bytes())
        with store.open_writer() as writer:
            for start in range(0, size, 100_000):
                writer.write(path.read_bytes()[start : start + 100_000])
            assert writer.finish() == store.put_file(path)
