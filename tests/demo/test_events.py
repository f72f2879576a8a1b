"""What the log says about one customer and about all."""

from datetime import UTC, datetime, timedelta

import polars as pl

from penstock.demo.events import EVENTS, Good, History, request_inputs

START = datetime(2026, 1, 5, tzinfo=UTC)


def make_week(*touched: tuple[str, str]) -> pl.DataFrame:
    rows = [
        (f"e{number}", START + timedelta(minutes=number), user, item, "view")
        for number, (user, item) in enumerate(touched)
    ]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def test_the_newest_item_comes_first_and_an_item_stands_there_as_often_as_it_was_touched() -> None:
    history = History()
    history.add(make_week(("ann", "cup"), ("bob", "pot"), ("ann", "tea")))
    history.add(make_week(("ann", "cup")))
    assert history.recent("ann") == ["cup", "tea", "cup"]
    assert history.recent("nobody") == []


def test_popularity_counts_customers_of_the_last_weeks_only() -> None:
    history = History()
    history.add(make_week(("ann", "old"), ("bob", "old"), ("eve", "old")))
    for _ in range(4):
        history.add(make_week(("ann", "cup"), ("ann", "cup"), ("ann", "pot"), ("bob", "pot")))
    assert history.popular() == ["pot", "cup"]


def test_repeats_are_a_customers_own_items_filled_up_with_popular_ones() -> None:
    history = History()
    history.add(make_week(("ann", "cup"), ("ann", "tea"), ("ann", "tea"), ("bob", "pot"), ("eve", "pot")))
    lists = history.repeats(["ann", "new"], history.popular())
    assert lists == {"ann": ["tea", "cup", "pot"], "new": ["pot", "cup", "tea"]}


def test_a_request_tells_the_aisle_of_the_newest_item_and_the_month_of_the_youngest() -> None:
    goods = {"cup": Good("kitchen", "2026-01"), "tea": Good("tea", "2026-03")}
    assert request_inputs("ann", ["cup", "tea"], goods) == {
        "user": "ann",
        "recent": "cup tea",
        "aisle": "kitchen",
        "intake": "2026-03",
    }
    assert request_inputs("new", [], goods)["aisle"] == "none"
