"""Where only the bad news comes: causes and rollouts count what never came as the windows of monitoring do."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lending_world import PROJECT, Lender, truth_of
from penstock.core.project.types import OutcomesSection
from penstock.loop.rollouts import RolloutWatch
from penstock.monitoring.maturity import read_absence_by_window
from penstock.monitoring.monitor import Monitor
from penstock.monitoring.types import Maturity, Window
from penstock.serving.strategies import read_terms
from shop_world import DAY, START

ONE_SIDED = PROJECT + '[outcomes]\nabsent = "negative"\nafter = "2d"\n'
TERMS = OutcomesSection(absent="negative")


def live(lender: Lender, first: int, last: int, *, is_turned: bool = False) -> None:
    """Days of traffic of which only positives are ever told."""
    for day in range(first, last):
        inputs = lender.people(300)
        truth = truth_of(inputs, lender.rng)
        truth = 1 - truth if is_turned else truth
        ids = lender.request(START + day * DAY, inputs)
        lender.answer([ids[place] for place in np.flatnonzero(truth)], truth[truth == 1], START + (day + 1) * DAY)


@pytest.fixture
def lender(tmp_path: Path) -> Lender:
    return Lender.open_released(tmp_path, ONE_SIDED)


def test_a_cause_counts_what_never_came_as_its_windows_do(lender: Lender) -> None:
    live(lender, 0, 4)
    live(lender, 4, 9, is_turned=True)
    Monitor(lender.services, lender.project).tick()
    (alert,) = [held for held in lender.services.monitoring.list_alerts("lend") if held.kind == "performance"]
    assert alert.cause is not None and alert.cause.split is not None
    assert alert.cause.split.verdict == "relation"
    assert alert.cause.split.rows % 300 == alert.cause.split.reference_rows % 300 == 0


def test_a_rollout_is_judged_by_rows_that_are_old_enough(lender: Lender) -> None:
    terms: dict[str, Any] = read_terms(lender.project.deploy) | {"steps": (0.5, 1.0)}
    lender.services.serving.deploy("lend", "lend", lender.register().version, strategy="canary", **terms)
    monitor, watch = Monitor(lender.services, lender.project), RolloutWatch(lender.services, lender.project)
    (rollout, *_) = lender.services.serving.list_rollouts("lend")
    counted = []
    for day in range(6):
        live(lender, day, day + 1)
        monitor.tick()
        found = watch.judge(rollout, lender.services.loop.read_seen()).evidence["measures"]
        counted.append({held["name"]: held["n"] for held in found}.get("reward", [0, 0])[1])
    assert counted == [0, 0, 0, 300, 600, 900]


def _window(day: int, *, is_old: bool) -> Window:
    maturity = Maturity(answered=1, known=0.0, absent_is_negative=is_old)
    begin = START + day * DAY
    return Window(deployment="d", start=begin, end=begin + DAY, rows=1, outcomes=0, maturity=maturity)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans())), st.sets(st.integers(0, 5)))
def test_each_row_is_read_as_its_window_counts(told: list[tuple[int, bool]], old: set[int]) -> None:
    rows = pl.DataFrame(
        {
            "id": [str(place) for place in range(len(told))],
            "at": [START + day * DAY for day, _ in told],
            "outcome": ["1" if is_known else None for _, is_known in told],
            "outcome_at": [START if is_known else None for _, is_known in told],
        },
        schema={"id": pl.String, "at": pl.Datetime("us", "UTC"), "outcome": pl.String, "outcome_at": pl.Datetime("us")},
    )
    windows = [_window(day, is_old=day in old) for day in range(5)]  # that of day 5 is not closed
    found = read_absence_by_window(rows, TERMS, windows, 0)
    expected = {
        str(place): ("1" if is_known else "0") if day in old and day < 5 else None
        for place, (day, is_known) in enumerate(told)
    }
    assert dict(found.select("id", "outcome").iter_rows()) == expected
    assert read_absence_by_window(rows, OutcomesSection(), windows, 0).equals(rows)
