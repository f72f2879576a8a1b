"""The monitor on real predictions and outcomes: windows, revisions, drift, decay, alerts."""

from pathlib import Path

import pytest

from penstock.monitoring.monitor import Monitor
from penstock.monitoring.sketches import decode_sketch
from penstock.monitoring.types import Window
from penstock.storage.references import list_kept
from shop_world import DAY, EVEN, START, Shop

WINTER = [6.0, 6.0, 6.0] + [1.0] * 9


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop.open_released(tmp_path)


@pytest.fixture
def monitor(shop: Shop) -> Monitor:
    return Monitor(shop.services, shop.project)


def windows(shop: Shop) -> list[Window]:
    return shop.services.monitoring.list_windows("shop")


def test_a_window_is_recorded_once_the_watermark_has_passed_its_end(shop: Shop, monitor: Monitor) -> None:
    shop.request(START, 100)
    assert not monitor.tick()
    shop.request(START + DAY, 1)
    assert monitor.tick()
    (window,) = windows(shop)
    assert (window.start, window.end, window.rows, window.outcomes) == (START, START + DAY, 100, 100)
    assert (window.version, window.number, window.edition) == (1, 1, 1)
    assert [(held.revision, held.rows) for held in window.revisions] == [(1, 100)]
    assert window.performance is not None and window.performance.value is not None
    assert not monitor.tick()


def test_the_key_is_not_watched_and_the_newest_item_is(shop: Shop, monitor: Monitor) -> None:
    shop.request(START, 300)
    shop.request(START + DAY, 1)
    monitor.tick()
    (column,) = windows(shop)[0].drift
    assert (column.column, column.test, column.drifted) == ("recent", "chi2", False)


def test_late_outcomes_revise_a_window(shop: Shop, monitor: Monitor) -> None:
    ids = shop.request(START, 100, clicks=None)
    shop.request(START + DAY, 1)
    monitor.tick()
    assert (windows(shop)[0].outcomes, windows(shop)[0].performance) == (0, None)
    shop.answer(ids, 1.0, START + 3 * DAY)
    assert monitor.tick()
    (window,) = windows(shop)
    assert (window.outcomes, window.edition) == (100, 2)
    assert window.performance is not None and window.performance.value == pytest.approx(1 / 3)


def test_late_predictions_revise_a_window_without_spending_the_budget_again(shop: Shop, monitor: Monitor) -> None:
    for day in range(3):
        shop.request(START + day * DAY, 100)
    monitor.tick()
    shop.request(START, 50)
    monitor.tick()
    assert [(window.rows, window.number) for window in windows(shop)] == [(150, 1), (100, 2)]


def test_computing_everything_again_gives_the_same_rows(shop: Shop, monitor: Monitor) -> None:
    for day in range(5):
        shop.request(START + day * DAY, 120)
        monitor.tick()
    before = windows(shop)
    cursor = shop.services.monitoring.get_cursor("shop")
    shop.services.monitoring.move_cursor(type(cursor)(deployment="shop"))
    assert not Monitor(shop.services, shop.project).tick()
    assert windows(shop) == before


def test_one_tick_after_the_event_finds_what_many_ticks_find(tmp_path: Path) -> None:
    found = []
    for folder, eager in ((tmp_path / "a", True), (tmp_path / "b", False)):
        shop = Shop.open_released(folder)
        monitor = Monitor(shop.services, shop.project)
        for day in range(6):
            shop.request(START + day * DAY, 150)
            if eager:
                monitor.tick()
        monitor.tick()
        found.append([(w.start, w.rows, w.number, w.drift, w.performance, w.loss) for w in windows(shop)])
    assert found[0] == found[1]


def test_drift_opens_one_alert_and_its_passing_resolves_it(shop: Shop, monitor: Monitor) -> None:
    for day, weights in enumerate([EVEN, EVEN, WINTER, WINTER, EVEN]):
        shop.request(START + day * DAY, 400, weights=weights)
        monitor.tick()
    (alert,) = shop.services.monitoring.list_alerts("shop", "open")
    assert (alert.kind, alert.window_start) == ("drift", START + 2 * DAY)
    assert alert.evidence["version"] == 1 and "recent" in alert.evidence["columns"]
    shop.request(START + 5 * DAY, 1)
    monitor.tick()
    assert shop.services.monitoring.list_alerts("shop", "open") == []


def test_a_fall_in_clicks_opens_an_alert_although_inputs_stay(shop: Shop, monitor: Monitor) -> None:
    for day, clicks in enumerate([0.4] * 4 + [0.15] * 5):
        shop.request(START + day * DAY, 300, clicks=clicks)
        monitor.tick()
    (alert,) = shop.services.monitoring.list_alerts("shop", "open")
    assert alert.kind == "performance"
    assert "precision_at_3 of version 1 fell to" in alert.summary
    assert not any(window.drifted for window in windows(shop))


def test_a_month_without_any_change_raises_no_alert(shop: Shop, monitor: Monitor) -> None:
    for day in range(30):
        shop.request(START + day * DAY, 100)
    monitor.tick()
    assert len(windows(shop)) == 29
    assert shop.services.monitoring.list_alerts("shop") == []


def test_windows_count_for_the_version_that_answered_most(shop: Shop, monitor: Monitor) -> None:
    shop.request(START, 100)
    second = shop.release(0.7)
    shop.request(START + DAY, 80, revision=2)
    shop.request(START + DAY, 20, revision=1)
    shop.request(START + 2 * DAY, 10, revision=2)
    monitor.tick()
    assert [(window.version, window.number) for window in windows(shop)] == [(1, 1), (second.version, 1)]
    assert [(held.revision, held.rows) for held in windows(shop)[1].revisions] == [(1, 20), (2, 80)]


def test_windows_without_requests_are_left_out(shop: Shop, monitor: Monitor) -> None:
    shop.request(START, 50)
    shop.request(START + 30 * DAY, 50)
    shop.request(START + 31 * DAY, 1)
    monitor.tick()
    assert [window.start for window in windows(shop)] == [START, START + 30 * DAY]


def test_what_drifted_can_be_followed_from_the_model_to_the_alert(shop: Shop, monitor: Monitor) -> None:
    from penstock.governance.service import GovernanceService

    for day, weights in enumerate([EVEN, WINTER, WINTER]):
        shop.request(START + day * DAY, 400, weights=weights)
    monitor.tick()
    governance = GovernanceService(shop.db)
    (event,) = governance.list_events(action="monitoring.drift_found")
    refs = {str(ref) for ref in governance.trace_lineage(str(event.subject)).refs}
    assert {"window:shop/2011-03-08T00:00", "model-version:shop/1"} <= refs


def test_an_alert_about_a_version_that_was_rolled_back_is_resolved_without_any_traffic(
    shop: Shop, monitor: Monitor
) -> None:
    second = shop.release(0.7)
    for day, weights in enumerate([EVEN, WINTER, WINTER]):
        shop.request(START + day * DAY, 400, revision=2, weights=weights)
    monitor.tick()
    (alert,) = shop.services.monitoring.list_alerts("shop", "open")
    assert alert.evidence["version"] == second.version
    shop.services.serving.roll_back("shop", "by hand")
    assert monitor.tick()
    assert shop.services.monitoring.list_alerts("shop", "open") == []
    assert not monitor.tick()


def test_a_segment_with_times_centuries_apart_makes_no_windows_in_between(shop: Shop, monitor: Monitor) -> None:
    shop.request_at([START - 10_000 * DAY, START, START + DAY, START + 30_000 * DAY])
    assert monitor.tick()
    assert [window.start for window in windows(shop)] == [START - 10_000 * DAY, START]


def test_outcomes_of_another_deployment_are_no_news(shop: Shop, monitor: Monitor) -> None:
    shop.request(START, 30)
    shop.request(START + DAY, 1)
    monitor.tick()
    before = shop.services.monitoring.get_cursor("shop")
    shop.request_at([START], deployment="other")
    assert not monitor.tick()
    assert shop.services.monitoring.get_cursor("shop") == before


def test_the_sketches_of_a_window_are_kept_with_it_and_those_of_the_reference_once(
    shop: Shop, monitor: Monitor
) -> None:
    for day in range(3):
        shop.request(START + day * DAY, 200)
    monitor.tick()
    first, second = windows(shop)
    assert first.sketches is not None and second.sketches is not None
    sketch = decode_sketch(shop.services.objects.get_bytes(first.sketches))
    assert sketch.rows == 200
    assert set(sketch.columns) == {"user", "recent"}
    kept = shop.services.monitoring.find_reference("shop", 1)
    assert kept is not None
    held = shop.db.read(list_kept)
    owners = {str(owner) for owner, digest in held if digest in (first.sketches, kept.sketch)}
    assert owners == {"window:shop/2011-03-07T00:00", "reference-sketch:shop/1"}
