"""What a false-alarm budget buys."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.project.rates import parse_rate
from penstock.core.project.types import MonitorSection, PerformanceSection
from penstock.monitoring.budget import AlarmBudget, share_budget


@given(alarms=st.floats(0.1, 5), windows=st.integers(1, 400))
def test_any_stretch_of_the_budgets_length_spends_no_more_than_the_budget(alarms: float, windows: int) -> None:
    budget = AlarmBudget(alarms, windows)
    assert sum(budget.level(1) for _ in range(windows)) <= alarms * 1.000001  # a new reference for each window
    assert sum(budget.level(number) for number in range(1, windows + 1)) <= alarms * 1.000001


def monitor(**given: Any) -> MonitorSection:
    return MonitorSection(window=timedelta(days=1), false_alarms=parse_rate("1 per 90d"), **given)


def test_one_reference_never_spends_more_than_the_budget_however_long_it_lives() -> None:
    budget = share_budget(monitor())
    assert sum(budget.level(number) for number in range(1, 100_000)) < 1


def test_the_watches_of_a_project_share_the_budget() -> None:
    assert share_budget(monitor()).rate == pytest.approx(1 / 90)
    measured = share_budget(monitor(performance=PerformanceSection(metric="recall_at_20")))
    assert measured.rate == pytest.approx(0.5 / 90)
    assert measured.run_length(1000) == pytest.approx(180_000)
    barred = share_budget(monitor(performance=PerformanceSection(metric="recall_at_20", at_least=0.1)))
    assert barred.rate == pytest.approx(1 / 3 / 90)


def test_a_budget_of_no_alarms_as_good_as_never_alarms() -> None:
    assert AlarmBudget(0, 90).level(1) <= 1e-12
