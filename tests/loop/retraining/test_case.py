import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import codec
from penstock.loop.retraining.case import Case, Rule


def losses(mean: float, rows: int = 500, seed: int = 0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(mean, 0.05, rows), 0, 1)


def test_a_model_that_loses_no_more_than_a_new_one_is_kept_however_long_it_serves() -> None:
    case, rule = Case(window="all"), Rule()
    for seed in range(100):
        case = case.add(losses(0.3, seed=seed), losses(0.3, seed=seed))
        assert not case.is_due(rule)


def test_a_small_loss_adds_up_until_it_has_paid_for_a_retrain() -> None:
    case, rule = Case(window="all"), Rule(cost=0.03, z=1.0)
    stretches = 0
    while not case.is_due(rule):
        case = case.add(losses(0.31, seed=stretches), losses(0.30, seed=1000 + stretches))
        stretches += 1
    assert 3 <= stretches <= 8
    assert not case.release().is_due(rule)


def test_a_dear_retrain_has_to_gain_more() -> None:
    case = Case(window="all").add(losses(0.35), losses(0.3, seed=1))
    assert case.is_due(Rule(cost=0.03))
    assert not case.is_due(Rule(cost=0.06))


def test_what_a_better_champion_saved_is_no_reserve_against_a_later_loss() -> None:
    rule, case = Rule(), Case(window="all")
    for _ in range(50):
        case = case.add(losses(0.2), losses(0.4, seed=1))
    assert case.add(losses(0.4), losses(0.3, seed=1)).is_due(rule)


def test_a_probe_is_corrected_for_being_weaker_than_a_full_fit() -> None:
    full, probe, champion = losses(0.20), losses(0.26, seed=1), losses(0.25, seed=2)
    case, rule = Case(window="all"), Rule()
    assert case.add(champion, probe).lost.total == 0
    assert case.learn_shortfall(full, probe).add(champion, probe).is_due(rule)


def test_a_probe_that_happened_to_be_stronger_is_not_made_weaker() -> None:
    case = Case(window="all").learn_shortfall(losses(0.3), losses(0.2, seed=1))
    assert case.add(losses(0.3), losses(0.2, seed=1)).lost.total == pytest.approx(0.1, abs=0.01)


def test_windows_are_tried_in_turn_and_the_better_one_stays() -> None:
    case, rule = Case(window="all"), Rule()
    windows = ["half", "last", "all"]
    assert case.choose_rival(windows) == "half"
    case = case.compare(losses(0.3), "half", losses(0.4, seed=1), rule)
    assert case.window == "all"
    assert case.choose_rival(windows) == "last"
    case = case.compare(losses(0.3), "last", losses(0.2, seed=1), rule)
    assert (case.window, case.rivals) == ("last", {})
    assert case.choose_rival(["last"]) is None


def test_one_lucky_stretch_against_a_window_is_forgotten() -> None:
    rule = Rule()
    case = Case(window="all").compare(losses(0.30), "half", losses(0.45, seed=1), rule)
    for _ in range(40):
        case = case.fade(rule)
    assert case.compare(losses(0.32), "half", losses(0.30, seed=1), rule).window == "half"


def test_another_window_is_asked_for_when_something_is_lost_or_the_champion_has_worsened() -> None:
    case = Case(window="all").add(losses(0.2), losses(0.3, seed=1))
    assert not case.asks_for_a_rival
    assert case.add(losses(0.3), losses(0.4, seed=1)).asks_for_a_rival
    assert not case.add(losses(0.1), losses(0.4, seed=1)).asks_for_a_rival
    assert case.add(losses(0.2), losses(0.05, seed=1)).asks_for_a_rival


@given(st.integers(0, 20))
def test_a_case_can_be_stored_and_taken_up_again(seed: int) -> None:
    case = Case(window="all").add(losses(0.3), losses(0.2, seed=seed)).compare(losses(0.3), "half", losses(0.4), Rule())
    assert codec.decode(codec.encode(case), Case) == case
