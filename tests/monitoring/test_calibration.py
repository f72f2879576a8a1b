"""False alarms measured on history without drift: within the budget, beyond it where the tests are made too lax."""

import numpy as np
import polars as pl

from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.calibration import Calibration, Plan, calibrate_inputs, calibrate_losses
from penstock.monitoring.decay import Harm

PLAN = Plan(replays=12, windows=20, window_rows=150)


def draw(n: int) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    return pl.DataFrame({"age": rng.normal(size=n), "colour": rng.choice(list("rgb"), n)})


def test_inputs_are_within_their_budget_and_spend_some_of_it() -> None:
    found = calibrate_inputs(draw(1500), None, ["age", "colour"], AlarmBudget(20, 20), PLAN)
    assert 1 < found.budget < 3
    assert found.holds
    assert found.measured > 0
    assert found.low <= found.measured <= found.high


def test_keys_are_drawn_whole_so_that_rows_alike_raise_no_alarm() -> None:
    rng = np.random.default_rng(6)
    rows = pl.DataFrame({"colour": np.repeat(rng.choice(list("rgb"), 150), 10)})
    keys = [str(number) for number in np.repeat(np.arange(150), 10)]
    assert calibrate_inputs(rows, keys, ["colour"], AlarmBudget(20, 20), PLAN).holds


def test_the_same_seed_gives_the_same_answer() -> None:
    one, other = (calibrate_inputs(draw(600), None, ["age"], AlarmBudget(20, 20), PLAN) for _ in range(2))
    assert one == other


def test_losses_are_within_their_budget() -> None:
    losses = np.random.default_rng(7).random(900) ** 3
    found = calibrate_losses("loss", Harm(), losses, AlarmBudget(2, 40), Plan(replays=20, windows=40, window_rows=100))
    assert found.holds
    assert found.budget == 2


def test_what_is_surely_beyond_the_budget_is_told() -> None:
    found = Calibration(
        watch="inputs", replays=4, windows=9, window_rows=9, alarms=42, budget=1, measured=10.5, low=9, high=12
    )
    assert not found.holds
