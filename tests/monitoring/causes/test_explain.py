"""Planted causes of a drop: the right part of the split, the right columns and segments; none where nothing changed."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from penstock.monitoring.causes.explain import LossRows, explain, tell_cause
from penstock.monitoring.causes.types import Cause, Upstream


def world(n: int, seed: int, *, shift: float = 0.0, broken: str = "", share: float = 1.0) -> LossRows:
    """Rows whose loss is high where `hard` is above 1; in a broken region some rows go wrong whatever they are."""
    rng = np.random.default_rng(seed)
    inputs = pl.DataFrame(
        {
            "hard": rng.normal(shift, 1, n),
            "other": rng.normal(shift / 2, 1, n),
            "region": rng.choice(["north", "south", "west"], n),
        }
    )
    chance = np.where(inputs["hard"].to_numpy() > 1, 0.5, 0.1)
    if broken:
        inside = (inputs["region"] == broken).to_numpy() if broken != "all" else np.ones(n, dtype=bool)
        chance = np.where(inside, chance + 0.35 * share, chance)
    return LossRows(inputs, (rng.random(n) < chance).astype(float), np.arange(n))


def cause_of(now: LossRows, seed: int = 1) -> Cause:
    reference = world(2000, seed)
    return explain(usual=reference.inputs, current=now.inputs, reference=reference, now=now)


@pytest.mark.slow
def test_rows_of_harder_kinds_are_told_from_a_truth_that_changed() -> None:
    cause = cause_of(world(1500, 2, shift=1.0))
    assert cause.split is not None and cause.split.verdict == "inputs"
    assert cause.split.inputs == pytest.approx(cause.split.change, abs=0.05)
    assert cause.split.inputs + cause.split.relation == pytest.approx(cause.split.change)
    assert cause.columns[0].column == "hard"
    assert "rows of other, harder kinds come" in tell_cause(cause).lower()
    assert (cause.faults, cause.segments) == ([], [])


def test_the_same_rows_turning_out_otherwise_is_the_relation() -> None:
    cause = cause_of(world(1500, 2, broken="all", share=0.5))
    assert cause.split is not None and cause.split.verdict == "relation"
    assert cause.split.moved == pytest.approx(0.5, abs=0.05)
    assert (cause.columns, cause.segments) == ([], [])


def test_the_segment_in_which_the_truth_changed_is_found() -> None:
    cause = cause_of(world(1500, 2, broken="south"))
    assert cause.split is not None and cause.split.verdict == "relation"
    assert cause.segments[0].segment == "region = south"
    assert cause.segments[0].rise == pytest.approx(0.35, abs=0.1)
    assert "region = south" in tell_cause(cause)


def test_both_at_once_are_told_as_both() -> None:
    cause = cause_of(world(2000, 2, shift=1.0, broken="all", share=0.5))
    assert cause.split is not None and cause.split.verdict == "both"


@pytest.mark.slow
def test_without_any_change_no_part_no_column_and_no_segment_is_named() -> None:
    causes = [cause_of(world(800, 100 + seed), seed) for seed in range(12)]
    verdicts = [cause.split.verdict for cause in causes if cause.split is not None]
    assert verdicts == ["neither"] * 12
    assert not any(cause.faults or cause.columns or cause.segments for cause in causes)


def test_rows_that_never_came_before_cannot_be_explained_away() -> None:
    cause = cause_of(world(1000, 2, shift=8.0))
    assert cause.split is not None and cause.split.verdict == "unknown"
    assert "cannot be told apart" in tell_cause(cause)


def test_faults_are_told_first() -> None:
    now = world(1500, 2, broken="all", share=0.5)
    spoiled = LossRows(now.inputs.with_columns(other=pl.lit(0.0)), now.losses, now.keys)
    cause = cause_of(spoiled)
    assert [fault.kind for fault in cause.faults] == ["constant_column"]
    assert tell_cause(cause).startswith("The data are at fault")


def test_with_few_outcomes_only_the_data_are_looked_at() -> None:
    cause = cause_of(world(100, 2))
    assert cause.split is None and "too few outcomes" in cause.note
    assert tell_cause(cause) == ""


def test_data_that_are_newer_than_the_model_are_named() -> None:
    newer = Upstream(dataset="people", trained_on=3, newest=5, since=datetime(2026, 1, 1, tzinfo=UTC))
    rows = world(50, 1).inputs
    told = tell_cause(explain(usual=rows, current=rows, upstream=[newer]))
    assert told == "Newer data: people version 5 (trained on 3)"
