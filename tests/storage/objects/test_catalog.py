"""Every object is found where it stands, whichever way its pack became known."""

import os
from pathlib import Path

import pytest

from penstock.storage.objects.catalog import PackCatalog
from penstock.storage.objects.format import BYTES
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.pack import Place, decode_index, index_key
from penstock.storage.objects.pack_writer import PackWriter


class Packs:
    """A folder of packs, and where everything in them really stands."""

    def __init__(self, folder: Path) -> None:
        self.blobs = LocalBlobStore(folder)
        self.places: dict[bytes, Place] = {}
        self.indexes: dict[str, bytes] = {}

    def add(self, objects: int) -> None:
        with PackWriter(self.blobs, knows=lambda digest: False, written=self._note, pack_size=500) as pack:
            for _ in range(objects):
                pack.add(BYTES, os.urandom(1 + os.urandom(1)[0]))
            pack.flush()

    def _note(self, name: str, index: bytes) -> None:
        self.places.update(decode_index(name, index))
        self.indexes[name] = index


@pytest.fixture
def packs(tmp_path: Path) -> Packs:
    packs = Packs(tmp_path)
    packs.add(200)
    return packs


def check(known: PackCatalog, packs: Packs) -> None:
    digests = list(packs.places)
    strangers = [os.urandom(32) for _ in range(20)] + [digest[:8] + os.urandom(24) for digest in digests[:20]]
    assert [known.find(digest) for digest in digests] == list(packs.places.values())
    assert known.find_many(digests) == list(packs.places.values())
    assert known.find_many([*strangers, *digests])[: len(strangers)] == [None] * len(strangers)
    assert [known.find(digest) for digest in strangers] == [None] * len(strangers)


def test_what_is_read_from_indexes_is_found(packs: Packs) -> None:
    known = PackCatalog(packs.blobs)
    check(known, packs)
    packs.add(50)
    assert known.find(list(packs.places)[-1]) is None
    known.refresh()
    check(known, packs)


def test_what_this_process_writes_is_found_at_once(packs: Packs) -> None:
    known = PackCatalog(LocalBlobStore(packs.blobs.folder / "nothing"))
    for name, index in packs.indexes.items():
        known.add(name, index)
    check(known, packs)


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    known = PackCatalog(LocalBlobStore(tmp_path))
    assert known.find(bytes(32)) is None
    assert known.find_many([bytes(32)]) == [None]
    assert known.find_many([]) == []


def test_a_damaged_index_hides_its_own_pack_only(packs: Packs) -> None:
    name = next(iter(packs.indexes))
    path = packs.blobs.folder / index_key(name)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    known = PackCatalog(packs.blobs)
    hidden = {digest for digest, place in packs.places.items() if place.pack == name}
    assert {digest for digest in packs.places if known.find(digest) is None} == hidden
    assert known.damaged == {name}
