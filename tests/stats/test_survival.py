"""The share to whom something has happened by an age, with young cohorts watched only shortly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.stats.survival import Cohort, kaplan_meier


def test_without_censoring_it_is_the_plain_share() -> None:
    curve = kaplan_meier([Cohort(10, [(1.0, 2), (5.0, 3)], followed=100.0)])
    assert [curve.share_by(age) for age in (0.5, 1.0, 4.9, 5.0, 1000.0)] == pytest.approx([0, 0.2, 0.2, 0.5, 0.5])
    assert curve.age_of(0.4) == 5.0
    assert curve.age_of(0.6) is None


def test_a_young_cohort_counts_only_at_the_ages_it_was_watched_for() -> None:
    old = Cohort(100, [(1.0, 10), (30.0, 80)], followed=40.0)
    young = Cohort(10_000, [(1.0, 1000), (3.0, 7)], followed=2.0)  # what came at 3 was not looked for in all of them
    curve = kaplan_meier([old, young])
    assert curve.share_by(1.0) == pytest.approx(0.1)
    assert curve.last == pytest.approx(0.9)
    assert curve.followed == 40.0


def test_it_finds_the_truth_where_the_newest_cohorts_know_hardly_anything() -> None:
    rng = np.random.default_rng(3)
    cohorts = []
    for day in range(60):
        delays = np.ceil(rng.exponential(10.0, 400))
        delays = delays[rng.random(400) < 0.7]  # three in ten never come
        ages, counts = np.unique(delays[delays <= day], return_counts=True)
        cohorts.append(Cohort(400, list(zip(ages.tolist(), counts.tolist(), strict=True)), followed=float(day)))
    curve = kaplan_meier(cohorts)
    for age in (5.0, 20.0, 40.0):
        place = curve.ages.index(age)
        assert abs(curve.shares[place] - 0.7 * (1 - np.exp(-age / 10))) < 4 * curve.errors[place]
    naive = sum(count for cohort in cohorts for _, count in cohort.events) / (400 * 60)
    assert naive < 0.6 < curve.last


def test_follow_up_is_long_enough_only_when_its_second_half_brought_hardly_anything() -> None:
    events = [(float(age), 10) for age in range(1, 11)]
    assert not kaplan_meier([Cohort(200, events, followed=10.5)]).is_complete
    assert kaplan_meier([Cohort(200, events, followed=20.0)]).is_complete
    assert not kaplan_meier([Cohort(20, [(1.0, 10)], followed=1000.0)]).is_complete  # too few to say
    assert not kaplan_meier([Cohort(200, [], followed=1000.0)]).is_complete
    assert not kaplan_meier([]).is_complete


@given(
    st.lists(
        st.tuples(
            st.integers(0, 50),
            st.floats(0, 100),
            st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, 50.0]), st.integers(1, 10)), max_size=4),
        ),
        max_size=6,
    )
)
def test_it_rises_from_nought_to_at_most_one(
    cohorts: list[tuple[int, float, list[tuple[float, int]]]],
) -> None:
    made = [Cohort(size + sum(c for _, c in events), events, followed) for size, followed, events in cohorts]
    curve = kaplan_meier(made)
    assert list(curve.shares) == sorted(curve.shares)
    assert all(0 <= share <= 1 + 1e-12 for share in curve.shares)
    assert all(np.isfinite(error) for error in curve.errors)
    assert kaplan_meier(made[::-1]).shares == pytest.approx(curve.shares)
