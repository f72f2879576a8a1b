import numpy as np
import pytest

from penstock.stats.design_effect import design_effect


def test_the_design_effect_is_the_size_of_groups_that_agree_and_one_for_single_rows() -> None:
    rng = np.random.default_rng(9)
    labels = rng.integers(3, size=400)
    groups = np.arange(400)
    assert design_effect(labels, groups) == 1
    assert design_effect(np.repeat(labels, 5), np.repeat(groups, 5)) == pytest.approx(5, rel=0.02)
    assert design_effect(rng.integers(3, size=2000), np.repeat(groups, 5)) == pytest.approx(1, abs=0.15)
