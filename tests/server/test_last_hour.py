"""The last hour: what was read once is remembered, what is older is gone, and the sums are those of the log."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factories import open_database
from penstock.core.clock import ManualClock
from penstock.core.ids import Digest, SegmentId, new_id
from penstock.predictions.latency import count_latencies
from penstock.predictions.service import PredictionService
from penstock.predictions.types import RevisionCounts, Segment
from penstock.server.web.drawings.charts import EMPTY
from penstock.server.web.sources.last_hour import LastHour, RecentTraffic, draw_hour

START = datetime(2026, 1, 5, 12, 0, 20, tzinfo=UTC)


@pytest.fixture
def predictions(tmp_path: Path) -> Iterator[PredictionService]:
    database = open_database(tmp_path, ManualClock(START))
    yield PredictionService(database)
    database.close()


def add(predictions: PredictionService, *rows: tuple[int, int, int]) -> None:
    """A segment of revisions with their rows and errors, and the next minute."""
    counts = [
        RevisionCounts(revision=revision, rows=n, errors=errors, latency=count_latencies([2_000] * n))
        for revision, n, errors in rows
    ]
    now = predictions.db.clock.now()
    segment = Segment(
        id=SegmentId(new_id()),
        deployment="shop",
        first_at=now,
        last_at=now,
        rows=sum(n for _, n, _ in rows),
        revisions=counts,
        digest=Digest("a" * 64),
    )
    predictions.add_segment(segment)
    wait(predictions, 60)


def wait(predictions: PredictionService, seconds: float) -> None:
    clock = predictions.db.clock
    assert isinstance(clock, ManualClock)
    clock.advance(seconds=seconds)


def counts(hour: LastHour) -> dict[int, tuple[int, int]]:
    return {held.revision: (held.rows, held.errors) for held in hour.revisions}


def test_minutes_add_up_over_several_reads(predictions: PredictionService) -> None:
    recent = RecentTraffic()
    assert counts(recent.read(predictions, "shop")) == {}
    add(predictions, (1, 10, 1), (2, 5, 0))
    assert counts(recent.read(predictions, "shop")) == {1: (10, 1), 2: (5, 0)}
    add(predictions, (1, 20, 0))
    for _ in range(3):
        assert counts(recent.read(predictions, "shop")) == {1: (30, 1), 2: (5, 0)}
    assert recent.read(predictions, "shop").revisions == RecentTraffic().read(predictions, "shop").revisions


def test_what_is_older_than_an_hour_is_gone(predictions: PredictionService) -> None:
    recent = RecentTraffic()
    add(predictions, (1, 10, 0))
    recent.read(predictions, "shop")
    wait(predictions, 3_500)
    add(predictions, (1, 3, 0))
    for each in (recent, RecentTraffic()):
        wait(predictions, 60)
        assert counts(each.read(predictions, "shop")) == {1: (3, 0)}


def test_more_deployments_than_are_remembered_are_still_read(
    predictions: PredictionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.server.web.sources.last_hour.MOST_DEPLOYMENTS", 2)
    recent = RecentTraffic()
    add(predictions, (1, 10, 0))
    for name in ("a", "b", "shop", "c", "shop"):
        assert counts(recent.read(predictions, name)) == ({1: (10, 0)} if name == "shop" else {})


def test_a_minute_without_requests_is_zero_and_has_no_latency(predictions: PredictionService) -> None:
    recent = RecentTraffic()
    add(predictions, (1, 60, 6))
    wait(predictions, 120)
    drawn = draw_hour(recent.read(predictions, "shop"), {1: "version 1", 2: "version 2"})
    assert "12:00: version 1 1" in drawn.requests
    assert "12:01: version 1 0" in drawn.requests
    assert "12:00: version 1 6" in drawn.failures
    assert "12:00: version 1 2.2" in drawn.median
    assert "12:01" not in drawn.slowest
    assert "version 2" not in drawn.requests


def test_the_present_minute_counts_for_as_long_as_it_has_lasted(predictions: PredictionService) -> None:
    wait(predictions, 30)
    add(predictions, (1, 100, 0))
    hour = LastHour(until=START.replace(second=50), minutes=RecentTraffic().read(predictions, "shop").minutes)
    assert "12:00: version 1 2" in draw_hour(hour, {1: "version 1"}).requests


def test_nothing_is_drawn_of_the_time_before_the_first_request(predictions: PredictionService) -> None:
    recent = RecentTraffic()
    add(predictions, (1, 60, 0))
    add(predictions, (1, 60, 0), (2, 30, 0))
    drawn = draw_hour(recent.read(predictions, "shop"), {1: "version 1", 2: "version 2"}).requests
    assert "12:00: version 1" in drawn
    assert "12:00: version 2" not in drawn
    assert "12:01: version 2 0.5" in drawn


def test_an_hour_without_requests_draws_nothing(predictions: PredictionService) -> None:
    assert draw_hour(RecentTraffic().read(predictions, "shop"), {1: "version 1"}).requests == EMPTY
