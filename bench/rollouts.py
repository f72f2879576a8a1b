"""How many requests a rollout takes to be decided, and how often wrongly: ours beside a z-test that is peeked at.

    python bench/rollouts.py [--runs 40] [--requests 10000] [--share 0.25] [--json]

Failed requests and rewards of both revisions are drawn; every 100 requests the judge looks, and goes on only by
evidence. "abort" and "promote" are the shares of rollouts that ended so, "requests" the median number, of both
revisions together, until they did; "hold" is what was undecided at the end. The z-tests are those of a fixed number of
requests, at 5 %: one for each side of the margin, looked at as often. Where a revision is no worse than the margins
allow, "abort" is the type I error; where it is worse, "promote" is. "edge" lies on the margin, where either is one.
"""

import argparse
import json
import math
import statistics
import time
from typing import Any

import numpy as np
from msgspec import Struct

from penstock.core.project.types import MarginsSection
from penstock.predictions.types import RevisionCounts
from penstock.serving.judge import Needs, RevisionStats, judge_rollout
from penstock.stats.sequential.evidence import Sums

EVERY = 100
MARGINS = MarginsSection(error_rate=0.01, reward=0.05)
NEEDS = Needs(margins=MARGINS, decide="evidence", requests=1)
Z = 1.6449  # 5 %, one-sided


class Scenario(Struct, frozen=True):
    """Chances of a failure and of a reward of 1, of the candidate and of the stable revision."""

    name: str
    failures: tuple[float, float]
    rewards: tuple[float, float]


SCENARIOS = [
    Scenario("same", (0.01, 0.01), (0.3, 0.3)),
    Scenario("better", (0.005, 0.01), (0.35, 0.3)),
    Scenario("edge: 1 in 100 fails more", (0.02, 0.01), (0.3, 0.3)),
    Scenario("edge: reward 0.05 lower", (0.01, 0.01), (0.25, 0.3)),
    Scenario("worse: 3 in 100 fail more", (0.04, 0.01), (0.3, 0.3)),
    Scenario("worse: 20 in 100 fail more", (0.21, 0.01), (0.3, 0.3)),
    Scenario("worse: reward 0.15 lower", (0.01, 0.01), (0.15, 0.3)),
]


class Drawn(Struct, frozen=True):
    """Running counts of one rollout at every look: requests, failures and rewards, of the candidate and the other."""

    rows: np.ndarray  # shape (2, looks)
    failures: np.ndarray
    rewards: np.ndarray


def draw(rng: np.random.Generator, scenario: Scenario, requests: int, share: float) -> Drawn:
    """One rollout."""
    is_candidate = rng.random(requests) < share
    fails = rng.random(requests) < np.where(is_candidate, *scenario.failures)
    pays = rng.random(requests) < np.where(is_candidate, *scenario.rewards)
    arms = [is_candidate, ~is_candidate]

    def count(what: np.ndarray) -> np.ndarray:
        return np.stack([np.cumsum(what & arm)[EVERY - 1 :: EVERY] for arm in arms])

    return Drawn(count(np.ones(requests, bool)), count(fails), count(pays))


def decide_ours(drawn: Drawn) -> tuple[str, int]:
    """How the judge ends a rollout, and after how many requests."""
    for look in range(drawn.rows.shape[1]):
        sides = [
            RevisionStats(
                counts=RevisionCounts(revision=side, rows=int(rows[look]), errors=int(failures[look])),
                rewards=Sums(n=int(rows[look]), total=int(rewards[look])),
            )
            for side, (rows, failures, rewards) in enumerate(
                zip(drawn.rows, drawn.failures, drawn.rewards, strict=True), 1
            )
        ]
        decision = judge_rollout(sides[0], sides[1], NEEDS, step_requests=sides[0].counts.rows).decision
        if decision != "hold":
            return ("promote" if decision == "advance" else "abort"), (look + 1) * EVERY
    return "hold", drawn.rows.shape[1] * EVERY


def decide_by_z(drawn: Drawn) -> tuple[str, int]:
    """The same by z-tests of the difference of two shares, at the level of a single look."""
    for look in range(drawn.rows.shape[1]):
        rows = drawn.rows[:, look]
        harms, goods = [], []
        for hits, sign, margin in ((drawn.failures, 1, MARGINS.error_rate), (drawn.rewards, -1, MARGINS.reward or 0)):
            rates = hits[:, look] / np.maximum(rows, 1)
            error = math.sqrt(float((rates * (1 - rates) / np.maximum(rows, 1)).sum()))
            z = (sign * float(rates[0] - rates[1]) - margin) / error if error else 0.0
            harms.append(z > Z)
            goods.append(z < -Z)
        if any(harms) or all(goods):
            return ("abort" if any(harms) else "promote"), (look + 1) * EVERY
    return "hold", drawn.rows.shape[1] * EVERY


def measure(scenario: Scenario, args: argparse.Namespace) -> dict[str, Any]:
    """The shares of the ends of both, and the median number of requests."""
    ends: dict[str, list[tuple[str, int]]] = {"ours": [], "z-test": []}
    rng = np.random.default_rng(7)
    for _ in range(args.runs):
        drawn = draw(rng, scenario, args.requests, args.share)
        ends["ours"].append(decide_ours(drawn))
        ends["z-test"].append(decide_by_z(drawn))
    return {"scenario": scenario.name} | {name: _sum_up(found) for name, found in ends.items()}


def _sum_up(found: list[tuple[str, int]]) -> dict[str, float]:
    shares = {end: sum(each == end for each, _ in found) / len(found) for end in ("abort", "promote", "hold")}
    return shares | {"requests": statistics.median(requests for _, requests in found)}


def time_judgement() -> float:
    """Milliseconds of one judgement, the middle of several."""
    drawn = draw(np.random.default_rng(1), SCENARIOS[0], EVERY * 20, 0.25)
    single = Drawn(*(part[:, -1:] for part in (drawn.rows, drawn.failures, drawn.rewards)))
    times = []
    for _ in range(30):
        began = time.perf_counter()
        decide_ours(single)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def main() -> None:
    """Print a line per scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--requests", type=int, default=10_000, help="of both revisions, in a rollout")
    parser.add_argument("--share", type=float, default=0.25, help="of the candidate")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = [measure(scenario, args) for scenario in SCENARIOS]
    judgement_ms = time_judgement()
    if args.json:
        print(json.dumps({"bench": "rollouts", "scenarios": found, "judgement_ms": judgement_ms}))
        return
    print(f"{'':28} {'':7} {'abort':>7} {'promote':>8} {'hold':>6} {'requests':>9}")
    for line in found:
        for name in ("ours", "z-test"):
            held = line[name]
            head = line["scenario"] if name == "ours" else ""
            ends = f"{held['abort']:7.1%} {held['promote']:8.1%} {held['hold']:6.0%}"
            print(f"{head:28} {name:7} {ends} {held['requests']:9,.0f}")
    print(f"one judgement of two measures: {judgement_ms:.1f} ms")


if __name__ == "__main__":
    main()
