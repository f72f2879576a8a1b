"""Results: ratios with intervals over customers, and the line that programs read."""

import json
from datetime import UTC, datetime

import numpy as np
from rich.console import Console

from penstock.demo.port import EpisodeLine
from penstock.demo.report import DemoResult, json_line, summarize
from penstock.demo.screen import show_result
from penstock.demo.source import Arm, Measure, Score

ARMS: tuple[Arm, ...] = ("loop", "frozen", "popularity")
CLICKS = Measure("clicks per 1,000 suggestions", 1000.0, 1)


def make_scores(customers: int = 300, gain: float = 0.05) -> list[Score]:
    chance = np.random.default_rng(3)
    scores = []
    for number in range(customers):
        arm = ARMS[number % 3]
        likes = chance.beta(2, 18) + (gain if arm == "loop" else 0.0)
        scores += [Score(week, f"c{number}", arm, float(chance.binomial(10, likes)), 10.0) for week in range(6)]
    return scores


def make_result(gain: float = 0.05, control: DemoResult | None = None) -> DemoResult:
    found = summarize(make_scores(gain=gain), ARMS, CLICKS)
    episodes = [
        EpisodeLine(number=1, trigger="manual", state="promoted", version=1, reason="the first"),
        EpisodeLine(
            number=2,
            trigger="drift",
            state="refused",
            at=datetime(2026, 3, 1, tzinfo=UTC),
            reason="inputs [a] moved",
            summary="a tie",
        ),
    ]
    return DemoResult(
        title="a shop",
        measure=CLICKS,
        weeks=6,
        all_weeks=found,
        last_third=found,
        episodes=episodes,
        control=control,
    )


def test_a_result_is_the_sum_gained_over_the_sum_offered() -> None:
    scores = [Score(1, "a", "loop", 1, 10), Score(2, "a", "loop", 3, 10), Score(1, "b", "frozen", 1, 10)]
    found = summarize([*scores, Score(1, "c", "popularity", 0, 10)], ARMS, CLICKS)
    assert found.arms["loop"].value == 200.0
    assert found.gains["frozen"].value == 100.0


def test_a_real_gain_is_seen_and_none_is_not() -> None:
    assert summarize(make_scores(gain=0.05), ARMS, CLICKS).gains["frozen"].low > 0
    none = summarize(make_scores(gain=0.0), ARMS, CLICKS).gains["frozen"]
    assert none.low < 0 < none.high


def test_weeks_of_one_customer_are_not_taken_for_many_customers() -> None:
    once = summarize([Score(1, s.user, s.arm, s.gained, 10) for s in make_scores() if s.week == 1], ARMS, CLICKS)
    repeated = [Score(week, s.user, s.arm, s.gained, 10) for s in make_scores() if s.week == 1 for week in range(20)]
    same = summarize(repeated, ARMS, CLICKS)
    assert np.isclose(
        same.gains["frozen"].high - same.gains["frozen"].low, once.gains["frozen"].high - once.gains["frozen"].low
    )


def test_on_the_same_customers_lists_are_compared_in_pairs() -> None:
    chance = np.random.default_rng(0)
    scores = []
    for number in range(200):
        base = float(chance.random())
        scores += [Score(1, f"c{number}", "loop", base + 0.01, 1), Score(1, f"c{number}", "frozen", base, 1)]
        scores += [Score(1, f"c{number}", "popularity", 0, 1)]
    found = summarize(scores, ARMS, Measure("recall@20", 1.0, 4))
    assert np.isclose(found.gains["frozen"].low, 0.01) and np.isclose(found.gains["frozen"].high, 0.01)


def test_the_last_line_has_what_programs_look_for() -> None:
    told = json.loads(json_line(make_result(control=make_result(0.0))))
    assert {"frozen", "loop", "popularity", "difference", "episodes"} <= set(told)
    assert set(told["difference"]) == {"value", "low", "high"}
    assert told["control"]["episodes"] == 1
    assert [episode["state"] for episode in told["episodes"]] == ["promoted", "refused"]


def test_the_table_says_it_in_words() -> None:
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as captured:
        show_result(console, make_result(control=make_result(0.0)))
    text = captured.get()
    assert "loop - frozen" in text
    assert "the loop is better than the frozen model" in text
    assert "inputs [a] moved" in text
    assert "1 episode of its own" in text
