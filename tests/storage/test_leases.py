"""Leases: one holder at a time, and whoever slept too long can do no harm."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import open_database
from penstock.core import failpoints
from penstock.core.clock import ManualClock
from penstock.core.errors import ConflictError, StorageFullError
from penstock.storage.database import Database
from penstock.storage.leases import acquire_lease, check_fence, find_lease, release_lease

TTL = timedelta(seconds=30)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    opened = open_database(tmp_path, clock)
    yield opened
    failpoints.arm("")
    opened.close()


def test_a_held_lease_is_not_given_to_another(db: Database, clock: ManualClock) -> None:
    assert db.write(acquire_lease, "loop", "a", TTL)
    clock.advance(seconds=29)
    assert db.write(acquire_lease, "loop", "b", TTL) is None


def test_an_expired_lease_goes_to_the_next_with_a_higher_fence(db: Database, clock: ManualClock) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    clock.advance(seconds=30)
    second = db.write(acquire_lease, "loop", "b", TTL)
    assert first is not None
    assert second is not None
    assert (second.holder, second.fence) == ("b", first.fence + 1)


def test_a_released_lease_goes_to_the_next_at_once_with_a_higher_fence(db: Database) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    assert first is not None
    db.write(release_lease, "loop", first.fence)
    with pytest.raises(ConflictError):
        db.write(check_fence, "loop", first.fence)
    second = db.write(acquire_lease, "loop", "b", TTL)
    assert second is not None
    assert second.fence == first.fence + 1


def test_whoever_lost_a_lease_cannot_release_it_for_its_new_holder(db: Database, clock: ManualClock) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    assert first is not None
    clock.advance(seconds=30)
    second = db.write(acquire_lease, "loop", "b", TTL)
    assert second is not None
    db.write(release_lease, "loop", first.fence)
    db.write(check_fence, "loop", second.fence)


def test_a_holder_extends_a_lease_under_its_own_fence(db: Database, clock: ManualClock) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    clock.advance(seconds=20)
    again = db.write(acquire_lease, "loop", "a", TTL)
    assert first is not None
    assert again is not None
    assert again.fence == first.fence
    assert again.expires_at == clock.now() + TTL
    clock.advance(seconds=20)
    assert db.write(acquire_lease, "loop", "b", TTL) is None


def test_a_holder_that_slept_too_long_gets_a_new_fence(db: Database, clock: ManualClock) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    clock.advance(seconds=31)
    assert first is not None
    with pytest.raises(ConflictError, match="no longer held"):
        db.write(check_fence, "loop", first.fence)
    again = db.write(acquire_lease, "loop", "a", TTL)
    assert again is not None
    assert again.fence == first.fence + 1


def test_an_effect_of_a_former_holder_is_refused(db: Database, clock: ManualClock) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    clock.advance(seconds=31)
    second = db.write(acquire_lease, "loop", "b", TTL)
    assert first is not None
    assert second is not None
    with pytest.raises(ConflictError, match="acquire it again"):
        db.write(check_fence, "loop", first.fence)
    db.write(check_fence, "loop", second.fence)


def test_a_lease_that_nobody_took_lets_nothing_pass(db: Database) -> None:
    with pytest.raises(ConflictError):
        db.write(check_fence, "loop", 1)


def test_leases_of_different_names_do_not_meet(db: Database) -> None:
    assert db.write(acquire_lease, "loop", "a", TTL)
    assert db.write(acquire_lease, "gc", "b", TTL)


def test_a_lease_that_cannot_be_renewed_is_not_renewed(db: Database, clock: ManualClock) -> None:
    first = db.write(acquire_lease, "loop", "a", TTL)
    failpoints.arm("storage.leases.acquire=enospc")
    clock.advance(seconds=10)
    with pytest.raises(StorageFullError):
        db.write(acquire_lease, "loop", "a", TTL)
    assert db.read(find_lease, "loop") == first


STEPS = st.lists(
    st.tuples(st.sampled_from(["acquire", "wait"]), st.sampled_from("abc"), st.integers(1, 40)), max_size=30
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_of_all_who_ever_held_a_lease_only_one_may_act(db: Database, clock: ManualClock, steps: list) -> None:
    clock.advance(days=1)  # whatever an earlier example held is over
    held = {}
    fences = []
    for action, who, seconds in steps:
        if action == "wait":
            clock.advance(seconds=seconds)
        elif lease := db.write(acquire_lease, "loop", who, TTL):
            held[who] = lease
            fences.append(lease.fence)
        assert fences == sorted(fences)
        assert sum(_may_act(db, lease.fence) for lease in held.values()) <= 1


def _may_act(db: Database, fence: int) -> bool:
    try:
        db.read(check_fence, "loop", fence)
    except ConflictError:
        return False
    return True
