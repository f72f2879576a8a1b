import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from penstock.stats.metrics import find_metric
from penstock.stats.ranking import match_items

ITEMS = ["a", "b", "c", "d", "e", "f"]
lists = st.lists(st.permutations(ITEMS), min_size=1, max_size=5)


def measure(name: str, relevant: list[list[str]], items: list[list[str]]) -> float:
    return find_metric(name).fn(relevant, items)


def test_each_metric_of_a_small_list_worked_out_by_hand() -> None:
    items, relevant = [["a", "b", "c", "d"]], [["b", "d", "x"]]
    assert measure("recall_at_2", relevant, items) == pytest.approx(1 / 3)
    assert measure("recall_at_4", relevant, items) == pytest.approx(2 / 3)
    assert measure("precision_at_4", relevant, items) == pytest.approx(0.5)
    assert measure("precision_at_8", relevant, items) == pytest.approx(0.25)
    assert measure("mrr_at_4", relevant, items) == pytest.approx(0.5)
    assert measure("mrr_at_1", relevant, items) == 0.0
    assert measure("hit_rate_at_1", relevant, items) == 0.0
    assert measure("hit_rate_at_2", relevant, items) == 1.0
    assert measure("map_at_4", relevant, items) == pytest.approx((1 / 2 + 2 / 4) / 3)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert measure("ndcg_at_4", relevant, items) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)


@given(order=st.permutations(range(6)), wanted=st.sets(st.integers(0, 5), min_size=1), k=st.integers(1, 6))
def test_ndcg_agrees_with_scikit_learn(order: list[int], wanted: set[int], k: int) -> None:
    scores = np.empty(6)
    scores[order] = np.arange(6, 0, -1)
    gains = np.array([[float(item in wanted) for item in range(6)]])
    expected = ndcg_score(gains, scores[None, :], k=k)
    assert measure(f"ndcg_at_{k}", [[str(i) for i in wanted]], [[str(i) for i in order]]) == pytest.approx(expected)


@given(items=lists, k=st.integers(1, 6))
def test_the_best_list_scores_one_and_none_scores_more(items: list[list[str]], k: int) -> None:
    best = [row[:k] for row in items]
    for kind in ("recall", "ndcg", "mrr", "hit_rate", "map"):
        assert measure(f"{kind}_at_{k}", best, items) == pytest.approx(1.0)
        assert measure(f"{kind}_at_{k}", [row[::-1][:k] for row in items], items) <= 1.0 + 1e-12


def test_rows_that_want_nothing_are_left_out_of_the_mean() -> None:
    assert measure("recall_at_2", [["a"], []], [["a", "b"], ["a", "b"]]) == 1.0
    assert measure("precision_at_2", [["a"], []], [["a", "b"], ["a", "b"]]) == 0.5


def test_an_item_that_is_suggested_twice_counts_once() -> None:
    assert measure("precision_at_3", [["a"]], [["a", "a", "a"]]) == pytest.approx(1 / 3)
    assert measure("ndcg_at_3", [["a"]], [["a", "a", "a"]]) == 1.0
    assert measure("recall_at_3", [["a", "a", "b"]], [["a"]]) == pytest.approx(0.5)


def test_an_empty_list_is_a_miss_rather_than_an_error() -> None:
    assert measure("recall_at_5", [["a"]], [[]]) == 0.0
    assert measure("mrr_at_5", [["a"], ["b"]], [[], ["b"]]) == 0.5


def test_coverage_is_the_share_of_known_items_that_are_suggested() -> None:
    assert measure("coverage_at_1", [["x"], ["b"]], [["a", "b"], ["a", "c"]]) == pytest.approx(1 / 4)
    assert measure("coverage_at_2", [["x"], ["b"]], [["a", "b"], ["a", "c"]]) == pytest.approx(3 / 4)


def test_matches_made_once_serve_every_metric() -> None:
    relevant, items = [["b"], ["z"]], [["a", "b"], ["c", "d"]]
    matches = match_items(relevant, items)
    for name in ("recall_at_2", "ndcg_at_2", "coverage_at_2"):
        assert find_metric(name).fn(relevant, matches) == measure(name, relevant, items)
