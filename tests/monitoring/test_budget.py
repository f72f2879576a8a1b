"""What a false-alarm budget buys."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.project.parse import parse_project
from penstock.core.project.types import Project
from penstock.monitoring.budget import AlarmBudget, list_watches, share_budget


@given(alarms=st.floats(0.1, 5), windows=st.integers(1, 400))
def test_any_stretch_of_the_budgets_length_spends_no_more_than_the_budget(alarms: float, windows: int) -> None:
    budget = AlarmBudget(alarms, windows)
    assert sum(budget.level(1) for _ in range(windows)) <= alarms * 1.000001  # a new reference for each window
    assert sum(budget.level(number) for number in range(1, windows + 1)) <= alarms * 1.000001


def project(task: str = "ranking", more: str = "") -> Project:
    text = f'[project]\nname = "p"\ntask = "{task}"\n[monitor]\nwindow = "1d"\nfalse_alarms = "1 per 90d"\n{more}\n'
    return parse_project(text, root=Path())


MEASURED = 'performance = { metric = "recall_at_20" }'
BARRED = 'performance = { metric = "recall_at_20", at_least = 0.1 }'
EVERYTHING = """performance = { metric = "roc_auc", at_least = 0.6 }
[data.people]
source = "people.csv"
sensitive = ["sex"]
[deploy]
guard = { error_rate = 0.01, latency_p99_ms = 50 }
"""


def test_one_reference_never_spends_more_than_the_budget_however_long_it_lives() -> None:
    budget = share_budget(project())
    assert sum(budget.level(number) for number in range(1, 100_000)) < 1


def test_the_watches_of_a_project_share_the_budget() -> None:
    assert share_budget(project()).rate == pytest.approx(1 / 90)
    measured = share_budget(project(more=MEASURED))
    assert measured.rate == pytest.approx(0.5 / 90)
    assert measured.run_length(1000) == pytest.approx(180_000)
    assert share_budget(project(more=BARRED)).rate == pytest.approx(1 / 3 / 90)


def test_everything_that_may_alarm_has_a_share_and_all_shares_are_the_budget() -> None:
    full = project("binary", EVERYTHING)
    watches = list_watches(full)
    assert watches == ["inputs", "loss", "bar", "estimate", "calibration", "gap", "latency", "errors"]
    assert share_budget(full).alarms * len(watches) == pytest.approx(1)
    parts = share_budget(full).split(8)
    assert parts.rate * 8 == pytest.approx(share_budget(full).rate)


def test_a_budget_of_no_alarms_as_good_as_never_alarms() -> None:
    assert AlarmBudget(0, 90).level(1) <= 1e-12


@given(alarms=st.floats(0.1, 5), windows=st.integers(16, 400), lived=st.integers(1, 600))
def test_windows_tested_together_spend_what_was_saved_for_them(alarms: float, windows: int, lived: int) -> None:
    budget = AlarmBudget(alarms, windows)
    spent = sum(level for number in range(1, lived + 1) for level in budget.levels(number).values())
    assert spent <= sum(budget.level(number) for number in range(1, lived + 1)) * 1.000001


def test_each_window_is_tested_alone_and_every_fourth_and_sixteenth_together_with_those_before() -> None:
    spans = {number: sorted(AlarmBudget(1, 90).levels(number)) for number in (1, 4, 8, 16, 17, 48)}
    assert spans == {1: [1], 4: [1, 4], 8: [1, 4], 16: [1, 4, 16], 17: [1], 48: [1, 4, 16]}
