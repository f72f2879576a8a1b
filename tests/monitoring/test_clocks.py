"""Event times far in the future, and clocks that jump: no window is closed by them."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from elsewhere_world import DAY, START, Elsewhere
from penstock.monitoring.monitor import Monitor
from shop_world import START as SHOP_START
from shop_world import Shop


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def starts(elsewhere: Elsewhere) -> list[int]:
    return [(window.start - START).days for window in elsewhere.windows()]


def set_clock(elsewhere: Elsewhere, moment: datetime) -> None:
    elsewhere.clock.advance(seconds=(moment - elsewhere.clock.now()).total_seconds())


def test_one_row_far_ahead_of_a_history_closes_no_window(elsewhere: Elsewhere) -> None:
    elsewhere.log(elsewhere.make(0, 50))
    elsewhere.log(elsewhere.make(1, 50))
    elsewhere.log(elsewhere.make(300, 1))
    elsewhere.tick()
    assert starts(elsewhere) == [0]
    elsewhere.log(elsewhere.make(2, 50))
    elsewhere.tick()
    assert starts(elsewhere) == [0, 1]
    assert elsewhere.windows()[1].rows == 50


def test_nor_does_it_in_a_segment_with_others(elsewhere: Elsewhere) -> None:
    frame = elsewhere.make(0, 50)
    frame[49, "at"] = START + 200 * DAY
    elsewhere.log(frame)
    elsewhere.tick()
    assert starts(elsewhere) == []


def test_rows_ahead_of_our_clock_wait_until_it_gets_there(elsewhere: Elsewhere) -> None:
    set_clock(elsewhere, START + 1.5 * DAY)
    elsewhere.log(elsewhere.make(0, 50))
    elsewhere.log(elsewhere.make(1, 20).head(5))
    elsewhere.log(elsewhere.make(3, 50))  # a client whose clock is days ahead, with many rows
    elsewhere.tick()
    assert starts(elsewhere) == [0]
    set_clock(elsewhere, START + 5 * DAY)
    elsewhere.log(elsewhere.make(4, 50))
    elsewhere.tick()
    assert starts(elsewhere) == [0, 1, 3]


def test_a_clock_that_jumped_ahead_and_back_leaves_nothing_wrong(elsewhere: Elsewhere) -> None:
    now = START + 1.1 * DAY
    set_clock(elsewhere, now)
    elsewhere.log(elsewhere.make(0, 50))
    day = elsewhere.make(1, 50)
    elsewhere.log(day.head(5))
    elsewhere.log(elsewhere.make(400, 20))
    set_clock(elsewhere, START + 500 * DAY)
    elsewhere.tick()  # now it is believed, and what it closes is measured with what there is
    assert starts(elsewhere) == [0, 1]
    set_clock(elsewhere, now)
    elsewhere.log(day.tail(45))
    elsewhere.tick()
    assert elsewhere.sources.monitoring.get_cursor("credit").closed_until == START + DAY
    set_clock(elsewhere, START + 2.2 * DAY)
    elsewhere.log(elsewhere.make(2, 50).head(5))
    elsewhere.tick()
    assert [(window.rows, (window.start - START).days) for window in elsewhere.windows()] == [(50, 0), (50, 1)]


def test_where_all_that_comes_is_ahead_our_own_clock_is_the_wrong_one(elsewhere: Elsewhere) -> None:
    set_clock(elsewhere, START - timedelta(days=3650))
    for day in range(3):
        elsewhere.log(elsewhere.make(day, 50))
    elsewhere.tick()
    assert starts(elsewhere) == [0, 1]


def test_a_served_deployment_is_protected_alike(tmp_path: Path) -> None:
    shop = Shop.open_released(tmp_path)
    monitor = Monitor(shop.services, shop.project)
    shop.request(SHOP_START, 100)
    shop.request_at([SHOP_START + 0.9 * DAY, SHOP_START + 3000 * DAY])
    monitor.tick()
    assert shop.services.monitoring.list_windows("shop") == []
    shop.request(SHOP_START + DAY, 1)
    monitor.tick()
    assert [window.start for window in shop.services.monitoring.list_windows("shop")] == [SHOP_START]
