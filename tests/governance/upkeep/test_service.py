"""What the object store has to keep, and who may collect the rest."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from factories import open_database
from governance.upkeep.mentions import list_mentions, reachable
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, InvalidInputError
from penstock.core.events import Entry
from penstock.core.ids import Digest, Ref
from penstock.governance.upkeep.packer import Packer
from penstock.governance.upkeep.service import UpkeepService
from penstock.governance.upkeep.types import Freed, Reference
from penstock.storage.database import Database
from penstock.storage.objects.collection.collector import Collector
from penstock.storage.objects.collection.owner import Owner, take_store
from penstock.storage.objects.collection.packing import FEWEST
from penstock.storage.objects.open import open_object_store
from penstock.storage.references import keep_objects, list_kept
from shop_world import START, Shop

NOTHING = Freed(store="objects", condemned=0, deleted=0, freed=0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def db(clock: ManualClock, tmp_path: Path) -> Iterator[Database]:
    yield open_database(tmp_path, clock)


@pytest.fixture
def upkeep(db: Database) -> UpkeepService:
    return UpkeepService(db)


def test_a_database_has_one_name_for_ever(upkeep: UpkeepService) -> None:
    name = upkeep.get_database_id()
    assert len(name) == 26 and upkeep.get_database_id() == name


def test_references_are_listed_with_their_owners(upkeep: UpkeepService, db: Database) -> None:
    owner = Ref("run", "x")
    db.write(keep_objects, owner, [Digest("ab" * 32), Digest("cd" * 32)])
    listed = upkeep.list_references()
    assert sorted(each.digest for each in listed) == ["ab" * 32, "cd" * 32]
    assert listed[0] == Reference(owner, listed[0].digest)


def test_one_collects_at_a_time(upkeep: UpkeepService, clock: ManualClock) -> None:
    first = upkeep.begin_collection("one")
    assert first is not None and upkeep.begin_collection("two") is None
    again = upkeep.begin_collection("one")
    assert again is not None and again.fence == first.fence
    clock.advance(seconds=61)
    second = upkeep.begin_collection("two")
    assert second is not None and second.fence > first.fence
    with pytest.raises(ConflictError, match="no longer held"):
        upkeep.end_collection(first.fence, NOTHING)
    upkeep.end_collection(second.fence, NOTHING)
    assert upkeep.begin_collection("three") is not None
    with pytest.raises(InvalidInputError):
        upkeep.begin_collection("four", ttl_s=0.0)


def test_what_was_collected_is_audited(upkeep: UpkeepService, entries: list[Entry]) -> None:
    lease = upkeep.begin_collection("one")
    assert lease is not None
    upkeep.end_collection(lease.fence, Freed(store="objects", condemned=3, deleted=2, freed=900))
    entry = entries[-1]
    assert (entry.action, entry.detail) == ("upkeep.collect", {"condemned": 3, "deleted": 2, "freed": 900})


def test_loose_objects_are_packed_unless_somebody_collects_or_the_store_is_anothers(
    upkeep: UpkeepService, db: Database, tmp_path: Path, clock: ManualClock
) -> None:
    objects = open_object_store(tmp_path / "objects")
    packer = Packer(upkeep, objects.blobs)
    assert not packer.tick()
    kept = {objects.put_bytes(b"%d" % number): number for number in range(FEWEST)}
    lease = upkeep.begin_collection("somebody")
    assert lease is not None and not packer.tick()
    upkeep.end_collection(lease.fence, NOTHING)
    take_store(objects.blobs, Owner("another", "elsewhere", clock.now()))
    assert not packer.tick() and len(list(objects.blobs.list_keys("loose/"))) == FEWEST
    take_store(objects.blobs, Owner(upkeep.get_database_id(), "here", clock.now()), replace=True)
    assert packer.tick() and not packer.tick()
    assert list(objects.blobs.list_keys("loose/")) == []
    assert upkeep.begin_collection("the right was given back") is not None
    assert {digest: int(objects.get_bytes(digest)) for digest in kept} == kept


def test_whatever_a_database_mentions_it_refers_to(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release()
    shop.request(START, 40)
    objects = shop.services.objects
    mentions = list(list_mentions(shop.db, objects))
    assert len({table for table, _, _ in mentions}) >= 4
    kept = reachable(shop.db, objects)
    assert [mention for mention in mentions if mention[2] not in kept] == []
    moments = itertools.count()
    for _ in range(2):
        Collector(
            objects.blobs,
            lambda: [digest for _, digest in shop.db.read(list_kept)],
            grace=timedelta(0),
            now=lambda: 4e9 + next(moments),
            runs=lambda process: False,
        ).run()
    fresh = open_object_store(tmp_path / "objects")
    assert all(fresh.has(digest) for _, _, digest in mentions)
