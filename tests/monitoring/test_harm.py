"""Harm before drift, on the real monitor and controller: who is called, what is trained again, what is only shown."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec import convert

from lending_world import PROJECT, Lender, truth_of
from penstock.monitoring.causes.types import Cause
from penstock.monitoring.monitor import Monitor
from penstock.monitoring.spending import read_spending
from penstock.monitoring.types import Alert, Window
from shop_world import DAY, START


@pytest.fixture
def lender(tmp_path: Path) -> Lender:
    return Lender.open_released(tmp_path)


def windows(lender: Lender) -> list[Window]:
    return lender.services.monitoring.list_windows("lend")


def alerts(lender: Lender) -> list[Alert]:
    return lender.services.monitoring.list_alerts("lend")


def plus(step: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: values + step


def test_inputs_move_and_the_loss_stays_so_nobody_is_called_and_nothing_is_trained(lender: Lender) -> None:
    lender.live(4)
    lender.live(4, first=4, noise=plus(1.5))
    lender.settle()
    assert [alert.kind for alert in alerts(lender)] == ["drift"]
    assert not any(alert.pages for alert in alerts(lender))
    assert lender.services.loop.list_episodes("lend") == []
    lamps = lender.services.monitoring.get_lamps("lend")
    assert (lamps.inputs.state, lamps.estimated.state, lamps.measured.state) == ("on", "off", "off")
    assert lamps.inputs.since == START + 4 * DAY and not lamps.inputs.pages
    assert "noise moved" in lamps.inputs.why


def test_the_loss_rises_and_inputs_stay_so_somebody_is_called_and_the_model_is_trained_again(lender: Lender) -> None:
    lender.live(5)
    lender.live(5, first=5, slope=-2.0)
    lender.settle()
    raised = {alert.kind: alert for alert in alerts(lender)}
    assert raised["performance"].pages and "drift" not in raised
    (episode,) = lender.services.loop.list_episodes("lend")
    assert (episode.trigger, episode.alert_id) == ("performance", raised["performance"].id)
    lamps = lender.services.monitoring.get_lamps("lend")
    assert (lamps.inputs.state, lamps.measured.state) == ("off", "on")
    assert lamps.estimated.state == "unknown" and "withdrawn" in lamps.estimated.why


def test_drift_trains_again_where_the_project_asks_for_it(tmp_path: Path) -> None:
    lender = Lender.open_released(tmp_path, PROJECT.replace('"estimate"', '"drift"'))
    lender.live(3)
    lender.live(4, first=3, noise=plus(1.5))
    lender.settle()
    (episode,) = lender.services.loop.list_episodes("lend")
    assert episode.trigger == "drift"


def test_performance_is_estimated_before_any_outcome_is_known(lender: Lender) -> None:
    for day in range(3):
        lender.request(START + day * DAY, lender.people(400))
    Monitor(lender.services, lender.project).tick()
    first, second = windows(lender)
    truth = 0.79  # of a perfect model of this truth, about
    for window in (first, second):
        found = window.estimate
        assert window.performance is None and found is not None and found.value is not None
        assert found.low is not None and found.high is not None and found.low < truth < found.high
        assert found.check is None and not found.dropped
        assert "tested on" in found.state.source


def test_an_estimate_that_falls_calls_somebody_before_any_outcome_is_known(lender: Lender) -> None:
    for day in range(6):
        inputs = lender.people(400) if day < 3 else lender.people(400, income=lambda values: values * 0.3)
        lender.request(START + day * DAY, inputs)
    lender.settle()
    raised = {alert.kind: alert for alert in alerts(lender)}
    assert raised["estimate"].pages and "before outcomes are known" in raised["estimate"].summary
    assert lender.services.loop.list_episodes("lend")[0].trigger == "estimate"
    lamps = lender.services.monitoring.get_lamps("lend")
    assert (lamps.estimated.state, lamps.measured.state) == ("on", "unknown")


def test_an_estimator_that_is_wrong_withdraws_in_sight_and_comes_back_once_it_holds_again(lender: Lender) -> None:
    lender.live(3)
    lender.live(8, first=3, slope=0.3)
    Monitor(lender.services, lender.project).tick()
    estimates = [window.estimate for window in windows(lender)]
    assert all(found is not None and found.value is not None for found in estimates[:3])
    failed = estimates[3]
    assert failed is not None and failed.value is None and "standard errors apart" in failed.note
    assert failed.check is not None and not failed.check.passed
    back = estimates[-1]
    assert back is not None and back.value is not None and back.value < 0.65
    assert "outcomes of windows" in back.state.source
    assert back.dropped  # it is now right about a model that is wrong


def test_outcomes_that_come_late_withdraw_what_was_shown_of_a_window(lender: Lender) -> None:
    monitor, asked = Monitor(lender.services, lender.project), []
    for day in range(4):
        inputs = lender.people(300)
        asked.append(
            (lender.request(START + day * DAY, inputs), truth_of(inputs, lender.rng, slope=-2.0 if day >= 1 else 2.0))
        )
    monitor.tick()
    assert all(window.estimate and window.estimate.value for window in windows(lender))
    for ids, truth in asked[:3]:
        lender.answer(ids, truth, START + 5 * DAY)
    monitor.tick()
    shown = [window.estimate is not None and window.estimate.value is not None for window in windows(lender)]
    assert shown == [True, False, False]


def test_computing_every_window_again_gives_the_same_estimates(lender: Lender) -> None:
    monitor = Monitor(lender.services, lender.project)
    for day in range(7):
        lender.live(1, first=day, rows=120, slope=-2.0 if day > 3 else 2.0)
        monitor.tick()
    before = windows(lender)
    cursor = lender.services.monitoring.get_cursor("lend")
    lender.services.monitoring.move_cursor(type(cursor)(deployment="lend"))
    assert not Monitor(lender.services, lender.project).tick()
    assert windows(lender) == before


def test_each_group_has_its_own_performance_and_a_small_one_is_called_small(lender: Lender) -> None:
    lender.live(2, rows=200)
    Monitor(lender.services, lender.project).tick()
    groups = {found.group: found for found in windows(lender)[0].groups}
    assert set(groups) == {"north", "south", "west"}
    north, west = groups["north"].performance, groups["west"]
    assert north is not None and north.low is not None and north.value is not None and north.low < north.value
    assert west.performance is None and "too small" in west.note


@pytest.mark.slow
def test_a_gap_between_groups_that_widens_is_an_alert_of_its_own(lender: Lender) -> None:
    lender.live(4, rows=400)
    for day in range(4, 12):
        inputs = lender.people(400)
        truth = truth_of(inputs, lender.rng)
        south = (inputs["region"] == "south").to_numpy()
        wrong = (lender.score(inputs) < 0.5).astype(int)
        lender.request(START + day * DAY, inputs, np.where(south & (lender.rng.random(400) < 0.7), wrong, truth))
    lender.settle()
    raised = {alert.kind: alert for alert in alerts(lender)}
    assert "fairness" in raised and "region=south" in raised["fairness"].summary


def test_a_group_that_is_not_logged_is_said_to_be_missing(tmp_path: Path) -> None:
    lender = Lender.open_released(tmp_path, PROJECT.replace('["region"]', '["faith"]'))
    lender.live(2, rows=60)
    Monitor(lender.services, lender.project).tick()
    (found,) = windows(lender)[0].groups
    assert found.note == "faith is not among the inputs that are logged"


def test_slow_answers_and_failures_are_held_against_what_the_project_allows(tmp_path: Path) -> None:
    guard = "[deploy]\nguard = { error_rate = 0.02, latency_p99_ms = 50 }"
    lender = Lender.open_released(tmp_path, PROJECT.replace("[deploy]", guard))
    for day in range(6):
        calm = day < 3
        lender.request(
            START + day * DAY, lender.people(300), latency_us=2000 if calm else 90_000, errors=2 if calm else 60
        )
    lender.settle()
    raised = {alert.kind: alert for alert in alerts(lender)}
    assert {"latency", "errors"} <= set(raised)
    assert "took longer than the project allows" in raised["latency"].summary
    assert raised["latency"].window_start == START + 3 * DAY
    assert lender.services.loop.list_episodes("lend") == []  # training again makes nothing faster


def test_probabilities_that_stop_to_hold_are_an_alert_even_while_the_classes_do(lender: Lender) -> None:
    lender.live(4, rows=400)
    for day in range(4, 10):
        inputs = lender.people(400)
        logit = np.log(lender.score(inputs) / (1 - lender.score(inputs)))
        lender.request(START + day * DAY, inputs, truth_of(inputs, lender.rng), score=1 / (1 + np.exp(-4 * logit)))
    lender.settle()
    raised = {alert.kind: alert for alert in alerts(lender)}
    assert "too sure of themselves" in raised["calibration"].summary


@pytest.mark.slow
def test_two_months_without_any_change_call_nobody(lender: Lender) -> None:
    lender.live(60, rows=100)
    lender.settle()
    assert len(windows(lender)) == 59
    assert alerts(lender) == []


def test_the_cause_of_a_drop_is_told_in_words_and_kept_as_a_record(lender: Lender) -> None:
    lender.live(4)
    for day in range(4, 9):
        inputs = lender.people(400)
        truth = truth_of(inputs, lender.rng)
        south = (inputs["region"] == "south").to_numpy()
        lender.request(START + day * DAY, inputs, np.where(south, 1 - truth, truth))
    lender.settle()
    (alert,) = [alert for alert in alerts(lender) if alert.kind == "performance"]
    cause = convert(alert.evidence["cause"], Cause)
    assert cause.split is not None and cause.split.verdict == "relation" and cause.faults == []
    assert "region = south" in cause.segments[0].segment
    assert "the same rows turn out otherwise" in alert.summary.lower()
    assert not alert.is_data_fault


def test_a_fault_of_the_data_asks_for_better_data_and_trains_nothing(lender: Lender) -> None:
    lender.live(4)
    for day in range(4, 9):
        inputs = lender.people(400)
        seen = inputs.with_columns(income=pl.lit(0.7))  # the model is fed a constant
        lender.request(START + day * DAY, seen, truth_of(inputs, lender.rng))
    lender.settle()
    raised = {alert.kind: alert for alert in alerts(lender)}
    assert raised["performance"].is_data_fault and "income is 0.7 in every row" in raised["performance"].summary
    assert lender.services.loop.list_episodes("lend") == []
    assert "the data to be mended" in lender.services.loop.get_state("lend").waiting_for


def test_what_the_budget_was_spent_on_can_be_read(lender: Lender) -> None:
    lender.live(3, rows=150)
    lender.live(3, first=3, noise=plus(2.0), rows=150)
    lender.settle()
    spending = read_spending(lender.project, windows(lender), alerts(lender))
    spent = {held.watch: held for held in spending.watches}
    assert list(spent) == ["inputs", "loss", "estimate", "calibration", "gap"]
    assert spending.allowed == 1 and sum(held.allowed for held in spending.watches) == pytest.approx(1)
    assert (spent["inputs"].raised, spent["loss"].raised) == (1, 0)
    assert all(0 < held.used <= held.allowed for held in spending.watches)
    nothing = read_spending(lender.project, [], [])
    assert (nothing.used, nothing.raised, nothing.start) == (0, 0, None)
