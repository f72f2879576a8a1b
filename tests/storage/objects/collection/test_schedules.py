"""Nothing that is referred to is ever lost, however writers, deleters, a packer and a collector are interleaved."""

from datetime import timedelta

import pytest

from penstock.storage.objects.format import TREE, parse_digest
from storage.objects.collection.schedules import (
    GRACE,
    Actor,
    TurnBlobs,
    World,
    collect,
    collector_of,
    deleter_of,
    open_store,
    packer_of,
    writer_of,
)

SCHEDULES = 1_000
SAMPLE = 60


def run_schedule(seed: int) -> World:
    world = World(seed)
    packs = seed % 2 == 0
    owners = [f"owner-{number}" for number in range(16)]
    grace = GRACE if seed % 3 else timedelta(0)
    world.actors = [
        Actor(world, "writer 1", writer_of(owners[:4] * 2)),
        Actor(world, "writer 2", writer_of(owners[4:8] * 2, begins_after=40)),
        Actor(world, "writer 3", writer_of(owners[8:12], begins_after=80)),
        Actor(world, "writer 4", writer_of([*owners[12:], *owners[:4]], begins_after=120)),
        Actor(world, "deleter", deleter_of([*owners[::2], *owners[:4], *owners])),
        *([Actor(world, "packer", packer_of(6))] if packs else []),
        Actor(world, "collector", collector_of(6, grace), may_fail=False),
    ]
    world.run()
    return world


def check_everything_is_there(world: World) -> None:
    store = open_store(TurnBlobs(world, None), world)
    for owner, (root, data) in world.references.items():
        header, _ = store.read_object(parse_digest(root))
        if header == TREE:
            files = {path: store.get_bytes(entry.digest) for path, entry in store.list_files(root)}
            assert files["a"] == data and len(files) == 2, owner
        else:
            assert store.get_bytes(root) == data, owner
    assert store.verify().damaged == ()


def check_the_rest_goes(world: World) -> None:
    """Once everybody is gone, so is what nothing leads to."""
    for _ in range(4):
        world.now += 30 * 86_400
        collect(world, None, GRACE)
    check_everything_is_there(world)
    world.references.clear()
    for _ in range(3):
        world.now += 30 * 86_400
        collect(world, None, GRACE)
    left = [key for key in world.held if not key.startswith("condemned/")]
    assert left == []


def run_all(seeds: range) -> None:
    for seed in seeds:
        try:
            world = run_schedule(seed)
            check_everything_is_there(world)
            check_the_rest_goes(world)
        except BaseException as error:
            error.add_note(f"schedule {seed}")
            raise


def test_a_sample_of_schedules_loses_nothing() -> None:
    run_all(range(SAMPLE))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_thousand_schedules_lose_nothing(pytestconfig: pytest.Config) -> None:
    """A fifth of them without --thorough."""
    count = SCHEDULES if pytestconfig.getoption("--thorough") else SCHEDULES // 5
    run_all(range(SAMPLE, SAMPLE + count))
