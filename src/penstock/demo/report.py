"""What a demo ends with: results by arm with intervals over customers, differences, episodes."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from penstock.core import codec
from penstock.demo.port import EpisodeLine
from penstock.demo.source import Arm, Measure, Score
from penstock.stats.arrays import FloatArray
from penstock.stats.intervals import bootstrap_interval

REPLICATES = 2000


class Estimate(Struct, frozen=True):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class ArmResults(Struct, frozen=True, kw_only=True):
    """Results over some weeks."""

    arms: dict[str, Estimate]
    gains: dict[str, Estimate]  # loop - arm, for each other arm
    customers: int
    suggestions: int  # lists that were shown


class DemoResult(Struct, frozen=True, kw_only=True):
    """All of it."""

    title: str
    measure: Measure
    weeks: int  # after the first release
    all_weeks: ArmResults
    last_third: ArmResults
    episodes: list[EpisodeLine]
    control: "DemoResult | None" = None
    page_url: str = ""


class Ledger(Struct, frozen=True):
    """The scores of a run, added up by customer."""

    sums: FloatArray  # (customers, arms, 2): gained, offered
    arms: tuple[Arm, ...]
    lists: int

    def column(self, arm: Arm) -> int:
        """Where an arm stands."""
        return self.arms.index(arm)


def summarize(scores: Iterable[Score], arms: Sequence[Arm], measure: Measure) -> ArmResults:
    """Results by arm, and differences; customers are the independent units."""
    ledger = _add_up(scores, tuple(arms))
    return ArmResults(
        arms={arm: _estimate(ledger, measure, arm) for arm in arms},
        gains={arm: _estimate(ledger, measure, "loop", arm) for arm in arms if arm != "loop"},
        customers=len(ledger.sums),
        suggestions=ledger.lists,
    )


def json_line(result: DemoResult) -> str:
    """The last line of `penstock demo --json`."""
    held, late = result.all_weeks, result.last_third
    told: dict[str, object] = {arm: held.arms[arm] for arm in ("frozen", "loop", "popularity")}
    told |= {"difference": held.gains["frozen"], "episodes": result.episodes}
    told |= {"measure": result.measure.name, "weeks": result.weeks, "gains": held.gains}
    told["last_third"] = {**late.arms, "difference": late.gains["frozen"], "gains": late.gains}
    if "repeat" in held.arms:
        told["repeat"] = held.arms["repeat"]
    if result.control is not None:
        difference = result.control.all_weeks.gains["frozen"]
        told["control"] = {"difference": difference, "episodes": len(own_episodes(result.control.episodes))}
    return codec.encode_text(told)


def own_episodes(episodes: Iterable[EpisodeLine]) -> list[EpisodeLine]:
    """Those that the loop opened by itself."""
    return [episode for episode in episodes if episode.trigger != "manual"]


def _add_up(scores: Iterable[Score], arms: tuple[Arm, ...]) -> Ledger:
    held = list(scores)
    number = {user: place for place, user in enumerate(sorted({score.user for score in held}))}
    sums = np.zeros((len(number), len(arms), 2))
    for score in held:
        sums[number[score.user], arms.index(score.arm)] += (score.gained, score.offered)
    return Ledger(sums, arms, len(held))


def _estimate(ledger: Ledger, measure: Measure, arm: Arm, other: Arm | None = None) -> Estimate:
    def combine(terms: FloatArray, weights: FloatArray) -> FloatArray:
        sums = weights @ terms
        with np.errstate(invalid="ignore", divide="ignore"):
            value = sums[:, 0] / sums[:, 1] - (sums[:, 2] / sums[:, 3] if other else 0.0)
        return measure.factor * np.asarray(value, dtype=np.float64)

    chosen = [ledger.column(arm)] + ([ledger.column(other)] if other else [])
    terms = ledger.sums[:, chosen].reshape(len(ledger.sums), -1)
    value = float(combine(terms, np.ones((1, len(terms))))[0])
    interval = bootstrap_interval(terms, combine, replicates=REPLICATES)
    return Estimate(value, interval.low, interval.high)
