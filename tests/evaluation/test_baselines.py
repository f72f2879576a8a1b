"""What comes for free: the baselines of each task."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from penstock.evaluation.baselines import free_baselines, most_popular

ITEMS = st.lists(st.sampled_from("abcdef"), max_size=6)


def test_a_classifier_is_held_against_the_majority() -> None:
    learned = pl.Series(["no", "no", "yes"])
    (found,) = free_baselines("binary", learned, np.zeros(2), classes=["no", "yes"]).values()
    assert found["prediction"].tolist() == [0, 0]


def test_a_forecast_repeats_the_last_value_of_its_own_series() -> None:
    learned, of = pl.Series([1.0, 5.0, 2.0, 6.0]), pl.Series(["a", "b", "a", "b"])
    found = free_baselines("forecast", learned, np.zeros(2), series=(of, pl.Series(["b", "a"])))
    assert found["last_value"]["prediction"].tolist() == [6.0, 2.0]
    assert found["mean"]["prediction"].tolist() == [3.5, 3.5]


def test_nothing_to_learn_from_gives_no_baseline() -> None:
    assert free_baselines("regression", pl.Series([], dtype=pl.Float64), np.zeros(3)) == {}


@given(st.lists(ITEMS, min_size=1), st.integers(1, 6))
def test_popular_items_are_in_most_lists_and_come_in_one_order(lists: list[list[str]], depth: int) -> None:
    column = pl.Series(lists, dtype=pl.List(pl.String))
    found = most_popular(column, depth)
    counts = [sum(item in row for row in lists) for item in found]
    assert counts == sorted(counts, reverse=True) and len(found) <= depth
    assert found == most_popular(pl.Series([row[::-1] for row in lists], dtype=pl.List(pl.String)), depth)
