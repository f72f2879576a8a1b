"""Performance of a window from outcomes, and losses for the detector."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from penstock.core.errors import InvalidInputError
from penstock.core.project.metrics import is_compared
from penstock.core.project.types import Task
from penstock.monitoring.performance import (
    LabelledRows,
    bounded_values,
    group_losses,
    measure,
    misses_bar,
    read_labelled_rows,
)
from penstock.monitoring.types import Performance

START = datetime(2011, 3, 1, tzinfo=UTC)


def rows(task: Task, pairs: list[tuple[Any, Any]], keys: list[str] | None = None, **given: Any) -> LabelledRows:
    """Rows of (output, outcome); an outcome of None has not come yet."""
    frame = pl.DataFrame(
        {
            "id": [f"s-{number}" for number in range(len(pairs))],
            "at": [START + timedelta(seconds=number) for number in range(len(pairs))],
            "key": keys or [""] * len(pairs),
            "status": ["error" if "error" in output else "ok" for output, _ in pairs],
            "output": [json.dumps(output) for output, _ in pairs],
            "outcome": [None if outcome is None else json.dumps(outcome) for _, outcome in pairs],
        },
        schema_overrides={"outcome": pl.String},
    )
    return read_labelled_rows(task, frame, **given)


def test_a_suggestion_that_nobody_clicked_counts_as_a_miss() -> None:
    shown = {"items": list("abcdefghij"), "scores": [0.1] * 10}
    labelled = rows("ranking", [(shown, ["a"]), (shown, []), (shown, ["c", "z"]), (shown, None)])
    assert measure("precision_at_10", labelled).value == pytest.approx((1 + 0 + 1) / 30)
    assert measure("recall_at_10", labelled).value == pytest.approx((1 + 0.5) / 2)
    assert group_losses("ranking", "precision_at_10", labelled).tolist() == pytest.approx([0.9, 1.0, 0.9])


def test_the_interval_takes_the_rows_of_one_customer_as_alike() -> None:
    rng = np.random.default_rng(1)
    hits = np.repeat(rng.random(50) < 0.5, 20)
    pairs = [({"items": ["a"]}, ["a"] if hit else []) for hit in hits]
    alone = measure("hit_rate_at_1", rows("ranking", pairs))
    keyed = measure("hit_rate_at_1", rows("ranking", pairs, [str(number // 20) for number in range(1000)]))
    assert alone.value == keyed.value
    assert alone.low is not None and alone.high is not None and keyed.low is not None and keyed.high is not None
    assert keyed.high - keyed.low > 3 * (alone.high - alone.low)


def test_a_classifier_is_measured_by_score_and_errors_are_left_out() -> None:
    pairs: list[tuple[Any, Any]] = [
        ({"prediction": "yes", "score": 0.5 + number % 50 / 100}, "yes" if number % 3 else "no") for number in range(60)
    ]
    pairs.append(({"error": "down"}, "yes"))
    labelled = rows("binary", pairs, classes=("no", "yes"))
    assert len(labelled) == 60
    auc = measure("roc_auc", labelled)
    assert auc.value is not None and auc.low is not None and auc.high is not None
    assert auc.low < auc.value < auc.high
    assert measure("accuracy", labelled).value == pytest.approx(40 / 60)
    losses = group_losses("binary", "roc_auc", labelled)
    assert losses.min() >= 0 and losses.max() <= 1


def test_revisions_are_compared_by_means_of_values_between_0_and_1() -> None:
    pairs: list[tuple[Any, Any]] = [
        ({"prediction": "yes", "score": 0.9}, "yes"),
        ({"prediction": "yes", "score": 0.6}, "no"),
        ({"prediction": "no", "score": 0.4}, "yes"),
        ({"prediction": "no", "score": 0.6}, "no"),
    ]
    labelled = rows("binary", pairs, keys=["a", "b", "b", "c"], classes=("no", "yes"))
    assert bounded_values("accuracy", labelled).tolist() == [1.0, 0.0, 1.0]  # by customer
    assert bounded_values("roc_auc", labelled).tolist() == [1.0, 0.0]  # 0.9 beside 0.6, 0.4 beside 0.6
    shown = {"items": list("abcdefghij")}
    lists = rows("ranking", [(shown, ["a"]), (shown, []), (shown, ["z"])])
    assert bounded_values("hit_rate_at_10", lists).tolist() == [1.0, 0.0, 0.0]
    assert len(bounded_values("recall_at_10", rows("ranking", [(shown, None)]))) == 0
    for name in ("f1", "log_loss", "coverage_at_20", "rmse"):
        assert not is_compared(name)
        with pytest.raises(InvalidInputError, match="no mean of values"):
            bounded_values(name, labelled)


def test_numbers_lose_their_absolute_error_averaged_by_key() -> None:
    labelled = rows(
        "regression", [({"prediction": 3.0}, 5), ({"prediction": 1.0}, 1), ({"prediction": 2}, 8)], ["a", "a", "b"]
    )
    assert group_losses("regression", "mae", labelled).tolist() == [1.0, 6.0]
    assert measure("mae", labelled).value == pytest.approx(8 / 3)


def test_outcomes_of_the_wrong_form_and_windows_without_outcomes_give_no_value() -> None:
    labelled = rows("regression", [({"prediction": 3.0}, "five"), ({"prediction": 3.0}, None)])
    assert len(labelled) == 0
    assert measure("mae", labelled) == Performance(metric="mae", value=None, rows=0)
    assert len(group_losses("regression", "mae", labelled)) == 0


def test_the_bar_is_missed_only_when_the_whole_interval_lies_beyond_it() -> None:
    figures = Performance(metric="roc_auc", value=0.6, low=0.55, high=0.65, rows=100)
    assert misses_bar(figures, at_least=0.66, at_most=None)
    assert not misses_bar(figures, at_least=0.62, at_most=None)
    assert misses_bar(figures, at_least=None, at_most=0.5)
    assert not misses_bar(Performance(metric="roc_auc", value=None), at_least=0.9, at_most=None)
