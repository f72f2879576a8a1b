"""The simulated shop: the same seed is the same shop, and what customers see has its effect."""

import pytest

from penstock.demo.simulator import Shop, ShopSettings

SMALL = ShopSettings(customers=200, goods=80, new_per_week=4, weeks=20)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(SMALL)


def _popular(shop: Shop, week: int) -> list[str]:
    gone = shop.sold_out(week)
    return [item for item in shop.catalogue(week)["item"] if item not in gone][:10]


def test_the_same_seed_gives_the_same_weeks_in_any_order(shop: Shop) -> None:
    again = Shop(SMALL)
    lists = {user: _popular(shop, 7) for user, _ in shop.visitors(7)}
    again.visitors(3)
    assert again.visitors(7) == shop.visitors(7)
    assert again.answer(7, lists) == shop.answer(7, lists)
    assert again.events(7, again.answer(7, lists)).equals(shop.events(7, shop.answer(7, lists)))


def test_what_a_customer_answers_does_not_depend_on_who_else_is_asked(shop: Shop) -> None:
    lists = {user: _popular(shop, 5) for user, _ in shop.visitors(5)}
    user = next(iter(lists))
    assert shop.answer(5, {user: lists[user]})[user] == shop.answer(5, lists)[user]


def test_nothing_is_clicked_that_was_not_shown_or_is_sold_out(shop: Shop) -> None:
    gone = sorted(shop.sold_out(6))
    shown = {user: [*gone[:2], *items, *_popular(shop, 6)] for user, items in shop.browse(6).items()}
    clicked = shop.answer(6, shown)
    assert any(clicked.values())
    for user, items in clicked.items():
        assert set(items) <= set(shown[user][: SMALL.slots]) - set(gone)


def test_goods_that_fit_a_customer_are_clicked_more(shop: Shop) -> None:
    visitors = [user for user, _ in shop.visitors(4)]
    browsed = shop.browse(4)
    fitting = shop.answer(4, browsed)
    strange = shop.answer(4, dict(zip(visitors, [browsed[user] for user in visitors[1:] + visitors[:1]], strict=True)))
    assert sum(map(len, fitting.values())) > 1.5 * sum(map(len, strange.values()))


def test_a_place_at_the_top_is_clicked_more(shop: Shop) -> None:
    shown = shop.browse(4)
    straight = shop.answer(4, {user: (items * 10)[:10] for user, items in shown.items()})
    late = shop.answer(4, {user: ["nothing"] * 9 + items for user, items in shown.items()})
    first = sum(items[0] in straight[user] for user, items in shown.items())
    last = sum(items[0] in late[user] for user, items in shown.items())
    assert first > 1.2 * last > 0


def test_new_goods_arrive_and_are_in_no_log_before(shop: Shop) -> None:
    early, late = set(shop.catalogue(2)["item"]), set(shop.catalogue(12)["item"])
    assert early < late
    assert set(shop.events(2, {})["item"]) <= early


def test_without_changes_every_week_wants_the_same() -> None:
    still = Shop(ShopSettings(customers=2000, goods=80, weeks=20, changes=False))
    assert still.catalogue(0).equals(still.catalogue(19))
    early, late = (
        still.events(week, {})["item"].str.split("-").list.first().value_counts(normalize=True) for week in (1, 18)
    )
    joined = early.join(late, on="item")
    assert float((joined["proportion"] - joined["proportion_right"]).abs().sum()) < 0.1


def test_events_lie_in_their_week_and_have_a_name_each(shop: Shop) -> None:
    events = shop.events(9, {})
    assert events["event_id"].is_unique().all()
    assert events["at"].min() >= shop.week_start(9)  # type: ignore[operator]
    assert events["at"].max() < shop.week_start(10)  # type: ignore[operator]
    assert set(events["kind"]) == {"view", "cart", "buy"}
