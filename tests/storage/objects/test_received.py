"""What somebody else sends is kept under the key of its content, and under no other."""

from pathlib import Path

import pytest

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.received import put_received


@pytest.fixture
def sent(tmp_path: Path) -> dict[str, bytes]:
    """The blobs of a store with a loose object and a pack."""
    blobs = LocalBlobStore(tmp_path / "theirs")
    store = ObjectStore(blobs)
    store.put_bytes(b"alone")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"\1" * 5_000)
    store.put_tree(tmp_path / "model")
    return {key: blobs.get(key) for key in blobs.list_keys("")}


@pytest.fixture
def ours(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "ours")


def key_of(sent: dict[str, bytes], ending: str) -> str:
    return next(key for key in sent if key.endswith(ending) or key.startswith(ending))


def test_what_is_whole_is_kept_once(sent: dict[str, bytes], ours: LocalBlobStore) -> None:
    for key in (key_of(sent, "loose/"), key_of(sent, ".pack"), key_of(sent, ".index")):
        assert put_received(ours, key, sent[key])
        assert not put_received(ours, key, sent[key])
    assert ObjectStore(ours).verify().passed


@pytest.mark.parametrize("kind", ["loose/", ".pack", ".index"])
def test_other_bytes_than_the_key_names_are_refused(kind: str, sent: dict[str, bytes], ours: LocalBlobStore) -> None:
    key = key_of(sent, kind)
    with pytest.raises(InvalidInputError, match=r"not the key of these bytes|no index of pack"):
        put_received(ours, key, b"x" + sent[key])
    assert list(ours.list_keys("")) == []


@pytest.mark.parametrize("key", ["", "x", "loose/none", "packs/x", "packs/x.pack.index", "other/x.pack", "../x"])
def test_a_key_of_no_kind_is_refused(key: str, ours: LocalBlobStore) -> None:
    with pytest.raises(InvalidInputError):
        put_received(ours, key, b"bytes")


def test_an_index_without_its_pack_is_refused(sent: dict[str, bytes], ours: LocalBlobStore) -> None:
    key = key_of(sent, ".index")
    with pytest.raises(ConflictError, match="send the pack again"):
        put_received(ours, key, sent[key])
    assert list(ours.list_keys("")) == []


def test_a_wrong_pack_makes_room_for_the_right_one(sent: dict[str, bytes], ours: LocalBlobStore) -> None:
    pack, index = key_of(sent, ".pack"), key_of(sent, ".index")
    put_received(ours, pack, sent[pack][:-1] + b"\2")
    with pytest.raises(ConflictError):
        put_received(ours, index, sent[index])
    with pytest.raises(NotFoundError):
        ours.size(pack)
    assert put_received(ours, pack, sent[pack])
    assert put_received(ours, index, sent[index])
    assert ObjectStore(ours).verify().passed


def test_an_index_that_is_there_already_touches_nothing(sent: dict[str, bytes], ours: LocalBlobStore) -> None:
    pack, index = key_of(sent, ".pack"), key_of(sent, ".index")
    put_received(ours, pack, sent[pack])
    put_received(ours, index, sent[index])
    (ours.folder / pack).chmod(0o600)
    (ours.folder / pack).write_bytes(b"damaged since")
    assert not put_received(ours, index, sent[index])
    assert ours.get(pack) == b"damaged since"  # a person decides what becomes of it
