"""What a false-alarm budget buys."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.project.rates import Rate, parse_rate
from penstock.monitoring.budget import AlarmBudget, share_budget


@given(alarms=st.floats(0.1, 5), windows=st.integers(1, 400))
def test_any_stretch_of_the_budgets_length_spends_no_more_than_the_budget(alarms: float, windows: int) -> None:
    budget = AlarmBudget(alarms, windows)
    assert sum(budget.level(1) for _ in range(windows)) <= alarms * 1.000001  # a new reference for each window
    assert sum(budget.level(number) for number in range(1, windows + 1)) <= alarms * 1.000001


def test_one_reference_never_spends_more_than_the_budget_however_long_it_lives() -> None:
    budget = share_budget(parse_rate("1 per 90d"), timedelta(days=1), watches=1)
    assert sum(budget.level(number) for number in range(1, 100_000)) < 1


def test_two_watches_share_the_budget() -> None:
    budget = share_budget(Rate(1, timedelta(days=90)), timedelta(days=1), watches=2)
    assert budget.level(1) == pytest.approx(0.5 / 90)
    assert budget.run_length == pytest.approx(180)


def test_a_budget_of_no_alarms_never_alarms() -> None:
    budget = AlarmBudget(0, 90)
    assert budget.level(1) == 0
    assert budget.run_length == float("inf")
