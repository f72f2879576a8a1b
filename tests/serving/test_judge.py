"""When a rollout goes on, waits, or ends: from counts alone."""

from typing import Any

import msgspec
import numpy as np
import pytest

from penstock.core.project.types import GuardSection, MarginsSection
from penstock.predictions.latency import count_latencies
from penstock.predictions.types import RevisionCounts
from penstock.serving.judge import Judgement, Needs, RevisionStats, judge_rollout
from penstock.serving.measures import Measure
from penstock.stats.sequential.evidence import Sums

GUARD = GuardSection(error_rate=0.01, latency_p99_ms=50)
WIDE = MarginsSection(error_rate=0.05, reward=0.1, latency_p99=1.0, metric=0.1)


def make_stats(
    rows: int,
    *,
    failures: int = 0,
    slow: int = 0,
    rewards: int | None = None,
    hits: float = 0.0,
    metric: Sums | None = None,
    problem: str = "",
    usual_us: int = 5_000,
) -> RevisionStats:
    latency = count_latencies([usual_us] * (rows - slow) + [500_000] * slow)
    counts = RevisionCounts(revision=1, rows=rows, fallbacks=failures, latency=latency)
    known = None if rewards is None else Sums(n=rewards, total=hits)
    return RevisionStats(counts=counts, rewards=known, metric=metric, load_problem=problem)


def judge(
    candidate: RevisionStats,
    stable: RevisionStats | None = None,
    *,
    step_requests: int | None = None,
    problems: tuple[str, ...] = (),
    **needs: Any,
) -> Judgement:
    return judge_rollout(
        candidate,
        stable or make_stats(5000, rewards=5000, hits=500),
        Needs(**({"guard": GUARD} | needs)),
        step_requests=candidate.counts.rows if step_requests is None else step_requests,
        problems=problems,
    )


def measures(found: Judgement) -> dict[tuple[str, str], Measure]:
    held = msgspec.convert(found.evidence["measures"], list[Measure])
    return {(measure.name, measure.beside): measure for measure in held}


def test_enough_quiet_requests_let_it_go_on() -> None:
    found = judge(make_stats(200))
    assert found.decision == "advance"
    assert found.evidence["requests"] == {"step": 200, "needed": 200, "all": 200}


def test_too_few_requests_hold() -> None:
    found = judge(make_stats(400), step_requests=199)
    assert found.decision == "hold"
    assert "199 of 200 requests" in found.reason


@pytest.mark.parametrize("decide", ["no_harm", "evidence"])
@pytest.mark.parametrize("guard", [GUARD, GuardSection()])
def test_nothing_known_holds(decide: str, guard: GuardSection) -> None:
    assert judge(make_stats(0), decide=decide, guard=guard).decision == "hold"
    assert judge(make_stats(0), step_requests=500, decide=decide, guard=guard).decision == "hold"


def test_a_stable_revision_that_answered_nothing_holds() -> None:
    found = judge(make_stats(300), make_stats(0))
    assert found.decision == "hold" and "the stable revision has answered nothing" in found.reason


def test_what_may_be_wrong_or_old_holds_but_does_not_keep_from_aborting() -> None:
    found = judge(make_stats(300), problems=("the outcomes cannot be read",))
    assert (found.decision, found.reason) == ("hold", "the outcomes cannot be read")
    assert judge(make_stats(300, failures=200), problems=("the outcomes cannot be read",)).decision == "abort"


def test_a_revision_that_cannot_be_loaded_is_ended() -> None:
    found = judge(make_stats(0, problem="no arrays"))
    assert (found.decision, found.reason) == ("abort", "the revision cannot be loaded: no arrays")


def test_many_errors_end_it_even_before_the_step_is_full() -> None:
    found = judge(make_stats(40, failures=20))
    assert found.decision == "abort"
    assert "20 of 40 requests failed, and at most 1.000% may" in found.reason


def test_an_error_rate_above_the_bar_without_proof_holds() -> None:
    assert judge(make_stats(200, failures=3)).decision == "hold"


def test_a_guard_that_allows_no_error_ends_it_at_the_first() -> None:
    assert judge(make_stats(50, failures=1), guard=GuardSection(error_rate=0.0)).decision == "abort"
    assert judge(make_stats(200), guard=GuardSection(error_rate=0.0)).decision == "advance"


def test_slow_answers_end_it() -> None:
    assert judge(make_stats(300, slow=60)).decision == "abort"
    assert judge(make_stats(300, slow=4)).decision == "hold"
    assert judge(make_stats(300, slow=2)).decision == "advance"


def test_more_errors_than_the_stable_revision_end_it_without_any_guard() -> None:
    found = judge(make_stats(500, failures=60), make_stats(5000), guard=GuardSection())
    assert found.decision == "abort"
    assert "against 0 of 5000" in found.reason


def test_more_errors_that_the_margin_allows_do_not_end_it() -> None:
    some, none = make_stats(2000, failures=60), make_stats(5000)
    assert judge(some, none, guard=GuardSection(), margins=MarginsSection(error_rate=0.01)).decision == "abort"
    assert judge(some, none, guard=GuardSection(), margins=MarginsSection(error_rate=0.05)).decision == "advance"


def test_a_sick_stable_revision_is_no_reason_to_abort() -> None:
    assert judge(make_stats(500), make_stats(5000, failures=2500)).decision == "advance"


def test_a_loss_of_reward_beyond_the_margin_ends_it() -> None:
    stable = make_stats(9000, rewards=9000, hits=2700)
    candidate = make_stats(3000, rewards=3000, hits=600)
    found = judge(candidate, stable)
    assert found.decision == "abort" and "the mean reward fell by at least 0.0" in found.reason
    assert judge(candidate, stable, margins=MarginsSection(reward=0.2)).decision == "advance"


def test_rewards_that_are_asked_for_and_missing_hold() -> None:
    found = judge(make_stats(500, rewards=10, hits=1), rewards=100)
    assert (found.decision, found.reason) == ("hold", "10 of 100 rewards are known")
    found = judge(make_stats(500, rewards=10, hits=1), rewards=100, margins=MarginsSection(reward=None))
    assert found.decision == "hold"


def test_a_metric_is_compared_where_it_has_a_margin() -> None:
    low, high = Sums(n=2000, total=1200), Sums(n=6000, total=4800)
    candidate, stable = make_stats(300, metric=low), make_stats(3000, metric=high)
    assert judge(candidate, stable).decision == "advance"
    found = judge(candidate, stable, margins=MarginsSection(metric=0.05))
    assert found.decision == "abort" and "the mean metric fell by" in found.reason


def test_a_slower_revision_is_ended_where_latency_has_a_margin() -> None:
    slow, stable = make_stats(2000, usual_us=20_000), make_stats(5000)
    assert judge(slow, stable).decision == "advance"
    found = judge(slow, stable, margins=MarginsSection(latency_p99=0.5))
    assert found.decision == "abort" and "against" in found.reason
    held = measures(found)["latency_p99", "stable"]
    assert held.low is not None and held.low > held.bar == 1.5
    assert held.estimate == pytest.approx(4.0, rel=0.13)


def test_without_a_stable_revision_the_guard_alone_decides() -> None:
    needs = Needs(guard=GUARD)
    found = judge_rollout(make_stats(200), None, needs, step_requests=200)
    assert found.decision == "advance"
    assert set(measures(found)) == {("error_rate", "guard"), ("latency_p99", "guard")}


def test_evidence_is_waited_for_where_it_is_asked_for() -> None:
    few, stable = make_stats(60), make_stats(200)
    assert judge(few, stable, requests=50).decision == "advance"
    found = judge(few, stable, requests=50, decide="evidence")
    assert (found.decision, found.reason) == ("hold", "not shown yet: at most 1.000% of requests more fail")
    assert measures(found)["error_rate", "stable"].state == "unknown"
    found = judge(make_stats(700), make_stats(2000), decide="evidence")
    assert (found.decision, measures(found)["error_rate", "stable"].state) == ("advance", "not_worse")
    assert "shown: " in found.reason


def test_with_evidence_every_measure_has_to_agree() -> None:
    stable = make_stats(5000, rewards=5000, hits=2500, metric=Sums(n=5000, total=4000))
    good = make_stats(3000, rewards=3000, hits=1530, metric=Sums(n=3000, total=2430))
    asked: dict[str, Any] = {"decide": "evidence", "margins": WIDE}
    found = judge(good, stable, **asked)
    assert found.decision == "advance"
    assert {measure.state for measure in measures(found).values()} == {"not_worse"}
    for changed in (
        {"rewards": Sums(n=40, total=20)},
        {"metric": Sums(n=40, total=32)},
        {"counts": make_stats(3000, slow=30).counts},
    ):
        assert judge(msgspec.structs.replace(good, **changed), stable, **asked).decision == "hold"


def test_a_page_can_draw_the_sequence_with_its_bar() -> None:
    found = judge(make_stats(500, failures=5, rewards=100, hits=20.0), margins=MarginsSection(latency_p99=0.3))
    for measure in measures(found).values():
        assert measure.n[0] > 0 and measure.says and measure.wanted
        assert measure.low is None or measure.high is None or measure.low <= measure.high
        if measure.estimate is not None and measure.low is not None and measure.high is not None:
            assert measure.low <= measure.estimate <= measure.high * 1.13
    reward = measures(found)["reward", "stable"]
    assert (reward.good, reward.bar, reward.n) == ("above", -0.01, (100, 5000))
    assert (found.evidence["decide"], found.evidence["alpha"]) == ("no_harm", 0.05)


def whole_rollouts(
    runs: int, *, rate: float, rewards: float, decide: str, looks: int, every: int, **margins: Any
) -> list[str]:
    """How rollouts end that are judged at every look: errors and rewards of both arms, and the guards."""
    rng, ends = np.random.default_rng(1), []
    for _ in range(runs):
        arms = []
        for chances in ((rate, rewards), (0.02, 0.5)):
            drawn = [np.cumsum(rng.random(every * looks) < chance)[every - 1 :: every] for chance in chances]
            arms.append(list(zip(*drawn, strict=True)))
        end = "hold"
        for n, pair in enumerate(zip(*arms, strict=True), 1):
            made = [make_stats(n * every, failures=int(f), rewards=n * every, hits=float(h)) for f, h in pair]
            needs = {"guard": GuardSection(error_rate=0.05), "decide": decide, "margins": MarginsSection(**margins)}
            found = judge(made[0], made[1], requests=1 if decide == "evidence" else 10**9, **needs)
            if found.decision != "hold":
                end = found.decision
                break
        ends.append(end)
    return ends


@pytest.mark.slow
def test_peeking_again_and_again_rarely_ends_a_good_revision() -> None:
    ends = whole_rollouts(25, rate=0.02, rewards=0.5, decide="no_harm", looks=10, every=100, error_rate=0.0, reward=0.0)
    assert ends.count("abort") <= 5  # 5 % of 25 is 1


@pytest.mark.slow
def test_peeking_again_and_again_rarely_promotes_a_revision_that_is_worse() -> None:
    asked: dict[str, Any] = {"decide": "evidence", "error_rate": 0.02, "reward": 0.5}
    ends = whole_rollouts(25, rate=0.041, rewards=0.5, looks=10, every=100, **asked)
    assert ends.count("advance") <= 5


@pytest.mark.slow
@pytest.mark.every(3)
@pytest.mark.parametrize(
    ("wrong", "world"),
    [
        ("abort", {"rate": 0.02, "rewards": 0.5, "decide": "no_harm", "error_rate": 0.0, "reward": 0.0}),
        ("advance", {"rate": 0.04, "rewards": 0.5, "decide": "evidence", "error_rate": 0.02, "reward": 0.5}),
        ("advance", {"rate": 0.02, "rewards": 0.4, "decide": "evidence", "error_rate": 1.0, "reward": 0.1}),
    ],
)
def test_many_whole_rollouts_keep_both_promises(wrong: str, world: dict[str, Any], pytestconfig: pytest.Config) -> None:
    """At most one in twenty goes wrong; of few, two in twenty may by chance."""
    runs, most = (400, 20) if pytestconfig.getoption("--thorough") else (100, 10)
    assert whole_rollouts(runs, looks=8, every=100, **world).count(wrong) <= most


def test_revisions_that_differ_are_told_apart() -> None:
    asked: dict[str, Any] = {"decide": "evidence", "error_rate": 0.03, "reward": 0.15}
    assert whole_rollouts(10, rate=0.015, rewards=0.55, looks=15, every=200, **asked).count("advance") >= 9
    assert whole_rollouts(10, rate=0.12, rewards=0.5, looks=15, every=200, **asked).count("abort") >= 9
