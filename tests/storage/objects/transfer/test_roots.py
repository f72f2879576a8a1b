"""What a shared store keeps for whom."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.core.errors import CorruptDataError
from penstock.core.ids import Digest, Ref
from penstock.storage.objects.blob_store import BlobStore
from penstock.storage.objects.local import LocalBlobStore
from penstock.storage.objects.transfer.roots import Push, add_roots, read_roots

AT = datetime(2026, 1, 2, tzinfo=UTC)
FIRST, SECOND = (Ref("dataset-version", "orders/1"), Digest("aa" * 32)), (Ref("run", "x"), Digest("bb" * 32))


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return LocalBlobStore(tmp_path)


def roots_of(blobs: BlobStore) -> set[tuple[Ref, Digest]]:
    return {(root.owner, root.digest) for each in read_roots(blobs).values() for root in each.roots}


def test_each_push_adds_its_roots_and_hints_lead_to_its_packs(blobs: BlobStore) -> None:
    add_roots(blobs, "db1", Push(AT, ("p1", "p2")), [FIRST], [FIRST, SECOND])
    add_roots(blobs, "db1", Push(AT, ("p3",)), [SECOND], [FIRST, SECOND])
    add_roots(blobs, "db2", Push(AT, ("p4",)), [FIRST], [FIRST])
    lists = list(read_roots(blobs).values())
    assert len(lists) == 2 and roots_of(blobs) == {FIRST, SECOND}
    assert lists[0].hints_for([FIRST[1]]) == {"p1", "p2"} and lists[0].hints_for([SECOND[1]]) == {"p3"}
    add_roots(blobs, "db1", Push(AT, ("p9",)), [FIRST], [FIRST, SECOND])
    (mine,) = read_roots(blobs, "db1").values()
    assert mine.hints_for([FIRST[1]]) == {"p9"} and len(mine.pushes) == 2


def test_what_a_database_refers_to_no_more_is_forgotten(blobs: BlobStore) -> None:
    add_roots(blobs, "db1", Push(AT, ("p1",)), [FIRST], [FIRST])
    add_roots(blobs, "db1", Push(AT, ("p2",)), [SECOND], [SECOND])
    assert roots_of(blobs) == {SECOND}
    (mine,) = read_roots(blobs).values()
    assert [push.packs for push in mine.pushes] == [("p2",)]


def test_a_second_list_of_one_database_counts_until_both_are_merged(blobs: BlobStore, tmp_path: Path) -> None:
    add_roots(blobs, "db1", Push(AT, ("p1",)), [FIRST], [FIRST])
    aside = LocalBlobStore(tmp_path / "aside")
    add_roots(aside, "db1", Push(AT, ("p2",)), [SECOND], [SECOND])
    (key,) = aside.list_keys("")
    blobs.put_if_absent(key, aside.get(key))
    assert roots_of(blobs) == {FIRST, SECOND} and len(read_roots(blobs)) == 2
    add_roots(blobs, "db1", Push(AT, ("p3",)), [], [FIRST, SECOND])
    assert roots_of(blobs) == {FIRST, SECOND} and len(read_roots(blobs)) == 1


def test_a_list_that_cannot_be_read_is_named(blobs: BlobStore) -> None:
    blobs.put_if_absent("roots/db1.x", b"{")
    with pytest.raises(CorruptDataError, match=r"roots/db1\.x is damaged"):
        read_roots(blobs)
