"""Points and times that no MLflow should hold, and some does, are named instead of stored as something else."""

import numpy as np
import pytest

from penstock.core.errors import InvalidInputError
from penstock.sdk.mlflow_import.points import LARGEST, to_history, to_infinity
from penstock.tracking.taking_over import to_moment


def test_points_become_arrays() -> None:
    history = to_history("loss", [1, -2], [2**63 - 1, -(2**63)], [0.1, float("nan")])
    assert history.at.tolist() == [1_000, -2_000]
    assert history.steps.tolist() == [2**63 - 1, -(2**63)]
    assert len(to_history("loss", [], [], [])) == 0


@pytest.mark.parametrize(("at", "step"), [(2**62, 0), (-(10**15), 0), (10**30, 0), (0, 2**63), (0, -(10**20))])
def test_a_place_that_cannot_be_kept_is_named(at: int, step: int) -> None:
    with pytest.raises(InvalidInputError, match=rf"metric 'loss': ({at or step}) is no .*correct it"):
        to_history("metric 'loss'", [0, at], [step, 0], [1.0, 1.0])


@pytest.mark.parametrize("milliseconds", [10**15, -(10**15), 10**40])
def test_a_moment_outside_of_the_calendar_is_named(milliseconds: int) -> None:
    with pytest.raises(InvalidInputError, match=str(milliseconds)):
        to_moment(milliseconds)


def test_the_largest_number_stands_for_infinity() -> None:
    assert to_infinity(np.array([LARGEST, -LARGEST, 1.0])).tolist() == [np.inf, -np.inf, 1.0]
