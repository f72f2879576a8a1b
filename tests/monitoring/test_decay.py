"""The chain of windows that tells decay from chance."""

import numpy as np
import pytest

from penstock.core.ids import Digest
from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.decay import Harm, WindowLosses, judge_losses
from penstock.monitoring.types import LossEvidence
from penstock.stats.arrays import FloatArray

BUDGET = AlarmBudget(0.5, 90)  # half an alarm in 90 windows


def window(losses: FloatArray) -> WindowLosses:
    return WindowLosses(
        losses, LossEvidence(mean_loss=float(losses.mean()), groups=len(losses), losses=Digest("0" * 64))
    )


def clicks(rng: np.random.Generator, windows: int, rate: float, n: int = 400) -> list[WindowLosses]:
    return [window(1.0 - (rng.random(n) < rate)) for _ in range(windows)]


def test_the_first_windows_give_the_bar_and_are_not_judged() -> None:
    evidence = judge_losses(Harm(), clicks(np.random.default_rng(1), 5, 0.2), BUDGET)
    assert [item.is_reference for item in evidence] == [True, True, False, False, False]
    assert evidence[2].tolerated is not None and 0.8 < evidence[2].tolerated < 0.88


def test_too_few_outcomes_judge_nothing() -> None:
    evidence = judge_losses(Harm(), clicks(np.random.default_rng(1), 4, 0.2, n=10), BUDGET)
    assert all(item.is_reference and not item.lost for item in evidence)


def test_a_drop_is_found_within_a_few_windows_and_stays_found() -> None:
    rng = np.random.default_rng(2)
    evidence = judge_losses(Harm(), clicks(rng, 10, 0.2) + clicks(rng, 10, 0.1), BUDGET)
    assert not any(item.lost for item in evidence[:10])
    assert all(item.lost for item in evidence[14:])


def test_an_improvement_is_no_alarm() -> None:
    rng = np.random.default_rng(3)
    assert not any(item.lost for item in judge_losses(Harm(), clicks(rng, 5, 0.1) + clicks(rng, 20, 0.3), BUDGET))


def test_without_any_change_false_alarms_keep_to_the_budget() -> None:
    rng = np.random.default_rng(4)
    runs = [judge_losses(Harm(), clicks(rng, 92, 0.15, n=100), BUDGET) for _ in range(40)]
    assert sum(any(item.lost for item in run) for run in runs) <= 20  # half an alarm a run is allowed


def test_errors_in_units_of_the_label_are_scaled_by_the_reference() -> None:
    rng = np.random.default_rng(5)

    def errors(windows: int, spread: float) -> list[WindowLosses]:
        return [window(np.abs(rng.normal(0, spread, 300))) for _ in range(windows)]

    evidence = judge_losses(Harm(bounded=False), errors(6, 1000) + errors(4, 1300), BUDGET)
    assert not any(item.lost for item in evidence[:6])
    assert evidence[-1].lost
    assert evidence[-1].tolerated == pytest.approx(800, rel=0.2)


def test_a_reference_without_a_single_loss_still_puts_up_with_a_few() -> None:
    rng = np.random.default_rng(6)
    windows = clicks(rng, 2, 1.0) + clicks(rng, 10, 0.995)
    assert not any(item.lost for item in judge_losses(Harm(), windows, BUDGET))
    assert judge_losses(Harm(), windows + clicks(rng, 3, 0.9), BUDGET)[-1].lost


def test_once_the_loss_has_fallen_the_detector_calms_down_and_may_alarm_again() -> None:
    rng = np.random.default_rng(7)
    good, bad = 0.2, 0.05
    chain = clicks(rng, 6, good) + clicks(rng, 20, bad) + clicks(rng, 12, good) + clicks(rng, 8, bad)
    lost = [item.lost for item in judge_losses(Harm(), chain, BUDGET)]
    assert all(lost[12:26]) and not any(lost[32:38]) and lost[-1]


def test_a_bar_of_the_projects_own_needs_no_first_windows() -> None:
    rng = np.random.default_rng(8)
    calm, late = [window((rng.random(400) < share).astype(float)) for share in (0.005, 0.03)]
    harm = Harm(tolerated=0.01)
    assert not any(item.is_reference or item.lost for item in judge_losses(harm, [calm] * 5, BUDGET))
    assert judge_losses(harm, [calm] * 5 + [late] * 5, BUDGET)[-1].lost


def test_differences_are_held_against_those_of_the_first_windows() -> None:
    rng = np.random.default_rng(9)

    def gaps(windows: int, mean: float) -> list[WindowLosses]:
        return [window(np.clip(rng.normal(mean, 0.3, 200), -1, 1)) for _ in range(windows)]

    steady = judge_losses(Harm(signed=True), gaps(20, 0.1), BUDGET)
    assert not any(item.lost for item in steady)
    assert steady[-1].tolerated is not None and 0.1 < steady[-1].tolerated < 0.25
    assert judge_losses(Harm(signed=True), gaps(6, 0.1) + gaps(8, 0.4), BUDGET)[-1].lost


@pytest.mark.parametrize(("calm", "better"), [(20, 0.85), (20, 0.98), (5, 0.9), (2, 0.95)])
def test_a_lasting_improvement_that_goes_back_to_where_it_began_is_no_alarm(calm: int, better: float) -> None:
    rng = np.random.default_rng(13)
    chain = clicks(rng, calm, 0.8) + clicks(rng, 60, better) + clicks(rng, 60, 0.8)
    assert not any(item.lost for item in judge_losses(Harm(), chain, BUDGET))


def test_after_an_improvement_what_is_worse_than_at_first_is_found_as_ever() -> None:
    rng = np.random.default_rng(14)
    first, better, worse = clicks(rng, 20, 0.8), clicks(rng, 60, 0.9), clicks(rng, 8, 0.7)
    soon, late = (judge_losses(Harm(), chain, BUDGET) for chain in (first + worse, first + better + worse))
    found = [next(number for number, item in enumerate(chain) if item.lost) for chain in (soon, late)]
    assert found[1] - 60 <= found[0] + 1
    assert late[79].tolerated == pytest.approx(soon[20].tolerated, abs=0.02)


def test_the_bar_is_never_below_what_the_first_windows_lost() -> None:
    rng = np.random.default_rng(15)
    for better in (0.81, 0.83, 0.9):
        chain = clicks(rng, 2, 0.8) + clicks(rng, 80, better)
        accepted = float(np.mean([window.losses.mean() for window in chain[:2]]))
        bars = [item.tolerated for item in judge_losses(Harm(), chain, BUDGET)[2:]]
        assert all(bar is not None and bar >= accepted - 1e-9 for bar in bars)


def test_a_gap_that_closes_and_opens_again_is_no_alarm() -> None:
    rng = np.random.default_rng(16)

    def gaps(windows: int, mean: float) -> list[WindowLosses]:
        return [window(np.clip(rng.normal(mean, 0.3, 200), -1, 1)) for _ in range(windows)]

    chain = gaps(10, 0.2) + gaps(40, 0.0) + gaps(40, 0.2)
    assert not any(item.lost for item in judge_losses(Harm(signed=True), chain, BUDGET))
    assert judge_losses(Harm(signed=True), chain + gaps(8, 0.5), BUDGET)[-1].lost


def test_the_bar_comes_down_to_what_many_windows_show_and_does_not_rise_with_the_loss() -> None:
    rng = np.random.default_rng(10)
    bars = [
        item.tolerated
        for item in judge_losses(Harm(), clicks(rng, 60, 0.85, n=100) + clicks(rng, 60, 0.83, n=100), BUDGET)
        if item.tolerated is not None
    ]
    assert bars == sorted(bars, reverse=True)
    assert bars[0] - 0.15 > 2 * (bars[57] - 0.15) > 0


def test_a_rise_that_two_windows_could_not_tell_is_found_after_many() -> None:
    found = {}
    for calm in (2, 60):
        rng = np.random.default_rng(11)
        chain = clicks(rng, calm, 0.9, n=100) + clicks(rng, 30, 0.84, n=100)
        found[calm] = any(item.lost for item in judge_losses(Harm(), chain, BUDGET))
    assert found == {2: False, 60: True}


def test_a_burst_within_a_window_that_is_fine_on_the_whole_is_no_alarm() -> None:
    rng = np.random.default_rng(12)
    losses = (rng.random(400) < 0.1).astype(float)
    burst = np.concatenate([losses[:100], np.ones(9), np.zeros(200)])
    chain = [*clicks(rng, 4, 0.9), window(burst)]
    found = judge_losses(Harm(), chain, BUDGET)[-1]
    assert found.tolerated is not None and found.mean_loss < found.tolerated and not found.lost
    worse = [*clicks(rng, 4, 0.9), window(np.concatenate([burst, np.ones(60), np.zeros(100)]))]
    assert judge_losses(Harm(), worse, BUDGET)[-1].lost
