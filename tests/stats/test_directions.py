"""Every metric that can be computed says which way is better; a user's own does not."""

import pytest

from penstock.stats.directions import HIGHER_IS_BETTER, LOWER_IS_BETTER, RANKING_KINDS, find_direction
from penstock.stats.metrics import METRICS, find_metric


def test_every_metric_has_a_direction_and_every_direction_a_metric() -> None:
    assert set(METRICS) == HIGHER_IS_BETTER | LOWER_IS_BETTER
    assert not HIGHER_IS_BETTER & LOWER_IS_BETTER


@pytest.mark.parametrize("kind", sorted(RANKING_KINDS))
def test_ranking_metrics_are_better_when_higher(kind: str) -> None:
    assert find_direction(f"{kind}_at_20") == 1 and find_metric(f"{kind}_at_20").higher_is_better


@pytest.mark.parametrize("name", ["loss", "ndcg", "auc_at_20", "recall_at_0"])
def test_a_metric_of_the_users_own_has_no_direction(name: str) -> None:
    assert find_direction(name) is None
