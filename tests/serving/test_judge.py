"""When a rollout goes on, waits, or ends: from counts alone."""

import numpy as np

from penstock.core.project.types import GuardSection
from penstock.predictions.latency import count_latencies
from penstock.predictions.types import RevisionCounts
from penstock.serving.judge import Judgement, RevisionStats, judge_rollout

GUARD = GuardSection(error_rate=0.01, latency_p99_ms=50)


def make_stats(
    rows: int, *, failures: int = 0, slow: int = 0, rewards: int = 0, hits: float = 0.0, problem: str = ""
) -> RevisionStats:
    latency = count_latencies([5_000] * (rows - slow) + [500_000] * slow)
    counts = RevisionCounts(revision=1, rows=rows, fallbacks=failures, latency=latency)
    return RevisionStats(counts=counts, rewards=rewards, reward_sum=hits, load_problem=problem)


def judge(candidate: RevisionStats, stable: RevisionStats | None = None, **changes: object) -> Judgement:
    settings: dict[str, object] = {"guard": GUARD, "min_requests": 200, "step_requests": candidate.counts.rows}
    return judge_rollout(candidate, stable or make_stats(5000, rewards=5000, hits=500), **(settings | changes))  # type: ignore[arg-type]


def test_enough_quiet_requests_let_it_go_on() -> None:
    found = judge(make_stats(200))
    assert found.decision == "advance"
    assert found.evidence["requests"] == {"step": 200, "needed": 200, "all": 200}


def test_too_few_requests_hold() -> None:
    found = judge(make_stats(400), step_requests=199)
    assert found.decision == "hold"
    assert "199 of 200 requests" in found.reason


def test_nothing_known_holds() -> None:
    assert judge(make_stats(0)).decision == "hold"
    assert judge(make_stats(0), step_requests=500).decision == "hold"


def test_a_revision_that_cannot_be_loaded_is_ended() -> None:
    found = judge(make_stats(0, problem="no arrays"))
    assert (found.decision, found.reason) == ("abort", "the revision cannot be loaded: no arrays")


def test_many_errors_end_it_even_before_the_step_is_full() -> None:
    found = judge(make_stats(40, failures=20))
    assert found.decision == "abort"
    assert "20 of 40 requests failed, and at most 1.000% may" in found.reason


def test_an_error_rate_above_the_bar_without_proof_holds() -> None:
    assert judge(make_stats(200, failures=3)).decision == "hold"


def test_slow_answers_end_it() -> None:
    assert judge(make_stats(300, slow=60)).decision == "abort"
    assert judge(make_stats(300, slow=4)).decision == "hold"
    assert judge(make_stats(300, slow=2)).decision == "advance"


def test_more_errors_than_the_stable_revision_end_it_without_any_guard() -> None:
    found = judge(make_stats(500, failures=60), make_stats(5000), guard=GuardSection())
    assert found.decision == "abort"
    assert "against 0 of 5000" in found.reason


def test_a_sick_stable_revision_is_no_reason_to_abort() -> None:
    assert judge(make_stats(500), make_stats(5000, failures=2500)).decision == "advance"


def test_a_loss_of_reward_beyond_the_margin_ends_it() -> None:
    stable = make_stats(9000, rewards=9000, hits=2700)
    candidate = make_stats(3000, rewards=3000, hits=600)
    assert judge(candidate, stable).decision == "abort"
    assert judge(candidate, stable, margin=0.2).decision == "advance"


def test_rewards_that_are_asked_for_and_missing_hold() -> None:
    found = judge(make_stats(500, rewards=10, hits=1), min_rewards=100)
    assert (found.decision, found.reason) == ("hold", "10 of 100 rewards are known")


def test_without_a_stable_revision_the_guard_alone_decides() -> None:
    found = judge_rollout(make_stats(200), None, guard=GUARD, min_requests=200, step_requests=200)
    assert found.decision == "advance"


def test_peeking_again_and_again_rarely_ends_a_good_revision() -> None:
    rng = np.random.default_rng(1)
    aborted = 0
    for _ in range(20):
        failures = np.cumsum(rng.random(400) < 0.005)
        hits = np.cumsum(rng.random(400) < 0.1)
        stable_hits = np.cumsum(rng.random(400) < 0.1)
        looks = (
            judge(
                make_stats(n, failures=int(failures[n - 1]), rewards=n, hits=float(hits[n - 1])),
                make_stats(n, failures=n // 200, rewards=n, hits=float(stable_hits[n - 1])),
            ).decision
            for n in range(20, 401, 20)
        )
        aborted += "abort" in looks
    assert aborted <= 3  # 5 % of 20 is 1
