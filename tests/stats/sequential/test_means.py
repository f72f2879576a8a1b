"""Means and their difference, looked at again and again: how often the truth is refused, and what is found."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.stats.sequential.evidence import Sums, add_up, evidence_above, evidence_below
from penstock.stats.sequential.means import (
    difference_sequence,
    evidence_of_less,
    evidence_of_more,
    mean_sequence,
    upper_sequence,
)
from stats.sequential.peeking import Draw, beta, coin, look, share_that_ever

BAR = -np.log(0.05)
LEVELS = {"alpha_low": 0.05, "alpha_high": 0.05}
# both arms, the mean of a, the difference, and whether the values are zeros and ones
WORLDS = {
    "rare errors": (coin(0.01), coin(0.01), 0.01, 0.0, True),
    "rare errors, a margin": (coin(0.03), coin(0.01), 0.01, 0.02, True),
    "even odds": (coin(0.5), coin(0.5), 0.5, 0.0, True),
    "common, a loss": (coin(0.75), coin(0.85), 0.85, -0.1, True),
    "no errors beside some": (coin(0.0), coin(0.02), 0.02, -0.02, True),
    "rewards": (beta(1, 4), beta(1, 4), 0.2, 0.0, False),
    "rewards of small variance": (beta(20, 60), beta(20, 60), 0.25, 0.0, False),
    "rewards of unlike shape": (beta(1, 3), beta(30, 70), 0.3, -0.05, False),
}

QUICK = ("common, a loss", "no errors beside some")


def false_alarms(world: str, share: float, *, runs: int, every: int, looks: int) -> list[float]:
    """The shares of runs in which the true difference is ever refused: as too high, and as too low."""
    draw_b, draw_a, mean, difference, binary = WORLDS[world]

    def refuse(b: Sums, a: Sums, is_less: bool) -> np.ndarray:
        one, other, upper, lower, gap = (
            (b, a, mean + difference, mean, difference) if is_less else (a, b, mean, mean + difference, -difference)
        )
        at_truth = evidence_below(one, upper) + evidence_above(other, lower)
        found = np.full(
            at_truth.shape, -np.inf
        )  # what does not suffice at the true means does not suffice at the worst
        near = at_truth >= BAR
        if near.any():
            found[near] = evidence_of_less(pick(one, near), pick(other, near), gap)
        return found

    def pick(sums: Sums, kept: np.ndarray) -> Sums:
        return Sums(
            n=sums.n[kept], total=sums.total[kept], squares=None if sums.squares is None else sums.squares[kept]
        )

    def test(is_less: bool) -> float:
        chunks = look(draw_b, draw_a, share=share, every=every, looks=looks, runs=runs, seed=5, squares=not binary)
        return share_that_ever(lambda b, a: refuse(b, a, is_less), chunks)

    return [test(True), test(False)]


@pytest.mark.parametrize("world", QUICK)
def test_ten_thousand_runs_refuse_the_truth_at_most_as_often_as_promised(world: str) -> None:
    assert max(false_alarms(world, 0.1, runs=10_000, every=20, looks=15)) <= 0.05


@pytest.mark.slow
@pytest.mark.every(3)
@pytest.mark.parametrize("share", [0.5, 0.05])
@pytest.mark.parametrize("world", WORLDS)
def test_longer_runs_refuse_the_truth_no_more_often(world: str, share: float) -> None:
    assert max(false_alarms(world, share, runs=10_000, every=40, looks=20)) <= 0.05


@pytest.mark.parametrize("rate", [0.005, 0.3, 0.95])
def test_ten_thousand_looks_at_one_arm_rarely_refuse_its_mean(rate: float) -> None:
    rng = np.random.default_rng(6)
    hits = np.cumsum(rng.random((10_000, 200)) < rate, axis=1)[:, 4::5].astype(float)
    sums = Sums(n=np.arange(5.0, 201.0, 5.0), total=hits)
    for evidence in (evidence_above(sums, rate), evidence_below(sums, rate)):
        assert (evidence >= BAR).any(axis=1).mean() <= 0.05


def test_an_arm_that_is_chosen_by_what_was_seen_changes_nothing() -> None:
    """The next row always goes to the arm that looks worse: rates are biased, and the evidence is not."""
    rng, runs = np.random.default_rng(7), 200
    n, total = np.zeros((2, runs)), np.zeros((2, runs))
    crossed = np.zeros(runs, dtype=bool)
    for row in range(300):
        arm = np.where(total[0] / np.maximum(n[0], 1) >= total[1] / np.maximum(n[1], 1), 0, 1)
        n[arm, np.arange(runs)] += 1
        total[arm, np.arange(runs)] += rng.random(runs) < 0.1
        if row % 15 == 14:
            arms = [Sums(n=n[side], total=total[side]) for side in (0, 1)]
            crossed |= (evidence_of_less(*arms, 0.0) >= BAR) | (evidence_of_more(*arms, 0.0) >= BAR)
    assert crossed.mean() <= 0.1  # two tests of 5 %


@pytest.mark.parametrize(
    ("b", "a", "share", "rows"),
    [(coin(0.08), coin(0.01), 0.5, 1000), (coin(0.35), coin(0.1), 0.1, 1000), (beta(15, 65), beta(20, 60), 0.3, 800)],
)
def test_real_differences_are_found_by_most_runs(b: Draw, a: Draw, share: float, rows: int) -> None:
    def either(one: Sums, other: Sums) -> np.ndarray:
        return np.maximum(evidence_of_less(one, other, 0.0), evidence_of_more(one, other, 0.0))

    runs = look(b, a, share=share, every=rows // 4, looks=4, runs=200, seed=8)
    assert share_that_ever(either, runs) > 0.9


def test_an_arm_without_errors_is_soon_known_to_have_few() -> None:
    high = difference_sequence(Sums(n=130), Sums(n=300), **LEVELS).high
    assert 0.03 < high < 0.05
    assert difference_sequence(Sums(n=600), Sums(n=2000), **LEVELS).high < 0.01


def test_the_interval_of_a_difference_is_narrower_than_two_intervals_subtracted() -> None:
    for b, a in (
        (Sums(n=600, total=5), Sums(n=2000, total=10)),
        (Sums(n=1000, total=300), Sums(n=1000, total=300)),
        (add_up(np.random.default_rng(9).beta(1, 5, 1000)), add_up(np.random.default_rng(10).beta(1, 5, 1000))),
    ):
        together = difference_sequence(b, a, **LEVELS)
        alone_b, alone_a = (mean_sequence(arm, alpha_low=0.025, alpha_high=0.025) for arm in (b, a))
        assert together.high - together.low < 0.95 * (alone_b.high - alone_a.low - (alone_b.low - alone_a.high))


def test_a_small_variance_makes_a_narrow_interval() -> None:
    rewards = add_up(0.5 + 0.02 * np.random.default_rng(11).uniform(-1, 1, 2000))
    narrow = mean_sequence(rewards, **LEVELS)
    by_counts = mean_sequence(Sums(n=rewards.n, total=rewards.total), **LEVELS)
    assert narrow.high - narrow.low < 0.1 * (by_counts.high - by_counts.low)


def test_the_search_for_the_worst_mean_errs_on_the_safe_side_and_by_little() -> None:
    """In each cell the evidence is taken at its lower end; a brute search over the mean of a is the exact value."""
    means = np.linspace(0.0, 0.95, 20_001)
    for b, a in itertools.product((Sums(n=300, total=2), Sums(n=40, total=20)), (Sums(n=900, total=90), Sums(n=500))):
        exact = (evidence_below(b, means + 0.05) + evidence_above(a, means)).min()
        found = float(evidence_of_less(b, a, 0.05))
        assert exact - 0.5 <= found <= exact + 1e-3


@settings(max_examples=40)
@given(
    n=st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    spread=st.none() | st.floats(0, 1),
)
def test_a_sequence_holds_the_estimate_and_lies_within_its_bounds(
    n: tuple[int, int], shares: tuple[float, float], spread: float | None
) -> None:
    arms = []
    for rows, share in zip(n, shares, strict=True):
        least = rows * share**2  # of the squares, when all values are alike
        arms.append(
            Sums(
                n=rows, total=rows * share, squares=None if spread is None else least + spread * (rows * share - least)
            )
        )
    found = difference_sequence(arms[0], arms[1], **LEVELS)
    assert -1.0 <= found.low <= found.high <= 1.0
    if all(n):
        assert found.low - 1e-9 <= shares[0] - shares[1] <= found.high + 1e-9
    else:
        assert found.high - found.low >= 0.9  # the other arm may be anywhere


@given(
    n=st.integers(1, 2000),
    share=st.floats(0, 1),
    spread=st.none() | st.floats(0, 1),
    means=st.lists(st.floats(0, 1), min_size=2, max_size=9),
)
def test_evidence_of_a_lower_mean_never_falls_when_the_supposed_mean_rises(
    n: int, share: float, spread: float | None, means: list[float]
) -> None:
    least = n * share**2
    sums = Sums(n=n, total=n * share, squares=None if spread is None else least + spread * (n * share - least))
    assert (np.diff(evidence_below(sums, sorted(means))) >= -1e-9).all()
    assert (np.diff(evidence_above(sums, sorted(means))) <= 1e-9).all()


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), max_size=40), st.data())
def test_neither_order_nor_batches_matter(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    mixed = data.draw(st.permutations(values))
    whole, parts = add_up(values), add_up(mixed[:cut]) + add_up(mixed[cut:])
    assert whole.n == parts.n == len(values)
    other = Sums(n=50, total=20)
    found = [difference_sequence(sums, other, **LEVELS) for sums in (whole, parts)]
    assert (found[0].low, found[0].high) == pytest.approx((found[1].low, found[1].high), abs=1e-6)


@pytest.mark.parametrize(
    ("b", "a", "low", "high"),
    [
        (Sums(), Sums(), (-1, -1), (1, 1)),
        (Sums(), Sums(n=1000, total=1000), (-1, -1), (-0.01, 0.02)),
        (Sums(n=500, total=500), Sums(), (-0.02, 0.01), (1, 1)),
        (Sums(n=500, total=500), Sums(n=500, total=0), (0.97, 1), (1, 1)),
        (Sums(n=500, total=0), Sums(n=500, total=500), (-1, -1), (-1, -0.97)),
        (Sums(n=10**8, total=10**5), Sums(n=10**8, total=10**5), (-1e-4, 0), (0, 1e-4)),
    ],
)
def test_extreme_counts_have_sensible_ends(
    b: Sums, a: Sums, low: tuple[float, float], high: tuple[float, float]
) -> None:
    found = difference_sequence(b, a, **LEVELS)
    assert low[0] <= found.low <= low[1] and high[0] <= found.high <= high[1]


def test_a_single_failure_where_there_may_be_none_is_proof() -> None:
    assert float(evidence_above(Sums(n=10, total=1), 0.0)) > 10
    assert float(evidence_above(Sums(n=10), 0.0)) <= 0
    assert float(evidence_below(Sums(n=10, total=9), 1.0)) > 10


def test_nothing_seen_is_no_evidence() -> None:
    for mean in (0.0, 0.3, 1.0):
        assert float(evidence_below(Sums(), mean)) == pytest.approx(0)
    assert float(evidence_of_less(Sums(), Sums(), 0.2)) == pytest.approx(0)


def test_sums_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="a sum of 5 from 3 values"):
        mean_sequence(Sums(n=3, total=5), **LEVELS)
    with pytest.raises(InvalidInputError, match="squares of values between 0 and 1"):
        difference_sequence(Sums(n=3, total=1, squares=2), Sums(), **LEVELS)
    with pytest.raises(InvalidInputError, match="outside 0 to 1"):
        add_up([0.5, float("nan")])
    with pytest.raises(InvalidInputError, match="level"):
        mean_sequence(Sums(n=3), alpha_low=0.0, alpha_high=0.05)


def test_upper_ends_at_many_times_are_those_of_each_time() -> None:
    values = np.random.default_rng(3).beta(1, 8, 900)
    parts = [add_up(values[:n]) for n in (1, 30, 200, 900)]
    columns = zip(*((part.n, part.total, part.squares) for part in parts), strict=True)
    n, total, squares = (np.array(column, dtype=np.float64) for column in columns)
    ends = upper_sequence(Sums(n=n, total=total, squares=squares), alpha=0.01)
    alone = [mean_sequence(part, alpha_low=0.5, alpha_high=0.01).high for part in parts]
    assert ends == pytest.approx(alone, rel=0.05)
    assert all(evidence_below(part, end) >= np.log(100) for part, end in zip(parts[1:], ends[1:], strict=True))
