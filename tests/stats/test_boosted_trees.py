"""Trees as arrays say what the regressor says that they come from, and hold none of its rows."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from penstock.stats.boosted_trees import pack_trees, read_trees, unpack_trees


@pytest.mark.parametrize(
    "is_category", [[False, False, False], [False, True, False], [True, False, True], [True, True, True]]
)
def test_they_say_what_the_regressor_says(is_category: list[bool]) -> None:
    rng, mask = np.random.default_rng(3), np.array(is_category)
    rows = np.where(mask, rng.integers(0, 250, (900, 3)), rng.normal(size=(900, 3)))
    rows[::7, 0] = rows[::11, 1] = rows[::13, 2] = np.nan
    target = np.nan_to_num(rows[:, 0]) ** 2 % 5 + np.nan_to_num(rows[:, 1]) % 3 + np.isnan(rows[:, 2])
    model = HistGradientBoostingRegressor(
        max_iter=20, categorical_features=mask if mask.any() else None, early_stopping=False
    ).fit(rows[:500], target[:500])
    trees = read_trees(model, mask)
    for some in (rows[:500], rows[500:], np.full((2, 3), np.nan)):  # some codes were not seen
        np.testing.assert_allclose(trees.predict(some), model.predict(some))
    (again,), more = unpack_trees(pack_trees([trees], variation=0.5))
    assert more == {"variation": 0.5} and np.array_equal(again.predict(rows), trees.predict(rows))
    assert pack_trees([again], variation=0.5) == pack_trees([trees], variation=0.5)
