import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.tracking.histories import History, thin_out_alike


def history(steps: list[int], at: int = 1) -> History:
    return History(np.full(len(steps), at), np.array(steps, dtype=np.int64), np.full(len(steps), 10.0))


def test_few_steps_stay_as_they_are() -> None:
    (kept,) = thin_out_alike([history([4, 5, 6, 7, 8])], 5)
    assert kept.steps.tolist() == [4, 5, 6, 7, 8]


def test_steps_are_spread_evenly_and_keep_both_ends() -> None:
    (kept,) = thin_out_alike([history(list(range(10)))], 5)
    assert kept.steps.tolist() == [0, 2, 4, 6, 8, 9]
    (kept,) = thin_out_alike([history(list(range(0, 1001, 10)))], 5)
    assert kept.steps.tolist() == [0, 200, 400, 600, 800, 1000]
    (kept,) = thin_out_alike([history(list(range(1000, 1101)))], 50)
    assert kept.steps.tolist() == list(range(1000, 1101, 2))


def test_several_histories_keep_the_same_steps_and_their_own_ends() -> None:
    kept = thin_out_alike([history(list(range(10))), history(list(range(20)))], 5)
    assert [held.steps.tolist() for held in kept] == [[0, 4, 8, 9], [0, 4, 8, 9, 12, 16, 19]]


def test_every_point_of_a_step_stays_as_long_as_they_are_few() -> None:
    twice = History(np.array([1, 2] * 10), np.repeat(np.arange(10), 2), np.full(20, 10.0))
    (kept,) = thin_out_alike([twice], 5)
    assert kept.steps.tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 9, 9]


def test_many_points_at_one_step_are_thinned_as_well() -> None:
    (kept,) = thin_out_alike([history([0] * 100_000)], 320)
    assert 0 < len(kept) <= 320


@given(lists=st.lists(st.lists(st.integers(-50, 50), max_size=60), min_size=1, max_size=3), most=st.integers(1, 30))
def test_no_history_loses_its_ends(lists: list[list[int]], most: int) -> None:
    kept = thin_out_alike([history(sorted(set(steps))) for steps in lists], most)
    for steps, held in zip(lists, kept, strict=True):
        assert set(held.steps.tolist()) <= set(steps)
        if steps:
            assert held.steps[0] == min(steps) and held.steps[-1] == max(steps)
