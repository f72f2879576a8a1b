"""The case for a retrain: what not retraining has cost so far, and which rows would be learned from.

It is built up stretch by stretch, never judged on one alone, and its price is fixed beforehand: a retrain is due when
what was lost since the last one, less what chance may have done, has come to what a retrain costs. Whatever comes
later, that loses at most about twice what would have been best (the argument of renting or buying).

Source: cumulative thresholds of CARA, Mahadevan and Mathioudakis 2024 (Cost-aware retraining for machine learning).
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from penstock.loop.retraining.evidence import Evidence
from penstock.stats.arrays import FloatArray


class Rule(Struct, frozen=True, kw_only=True):
    """When a retrain is worth it; shares are of the rows of one stretch.

    Attributes:
        cost: what a retrain and its release cost: so much of a stretch's loss as would be put up with to be spared one.
        z: standard errors that are taken off what a retrain seems to gain.
        memory: what remains of the evidence about windows from one stretch to the next.
        window_z: standard errors by which another window has to be better before it is taken.
    """

    cost: float = 0.03
    z: float = 1.0
    memory: float = 0.9
    window_z: float = 2.0


class Case(Struct, frozen=True, kw_only=True):
    """What has been seen since the last retrain; resumable.

    Attributes:
        window: the rows that seem best to learn from.
        lost: what the champion lost more than a new model would have, per stretch, added up.
        rivals: evidence that another window is better than `window`.
        turn: how many rivals were tried.
        stretches: how many the champion has been seen in.
        usual: what it lost on average in them.
        has_worsened: whether it lost more than usual in the newest.
        shortfall: what a full fit loses less than a probe: the sum of what was seen, the newest counting most.
        shortfall_weight: of how many sightings.
    """

    window: str
    lost: Evidence = Evidence()
    rivals: dict[str, Evidence] = {}
    turn: int = 0
    stretches: int = 0
    usual: float = 0.0
    has_worsened: bool = False
    shortfall: float = 0.0
    shortfall_weight: float = 0.0

    def choose_rival(self, windows: Sequence[str]) -> str | None:
        """The window to try beside the present one; they take turns. None where there is no other."""
        others = [name for name in windows if name != self.window]
        return others[self.turn % len(others)] if others else None

    def fade(self, rule: Rule) -> "Case":
        """A stretch later: what is known of the windows counts for less."""
        rivals = {name: evidence.times(rule.memory) for name, evidence in self.rivals.items()}
        return msgspec.structs.replace(self, rivals=rivals)

    def compare(self, present: FloatArray, rival: str, lost: FloatArray, rule: Rule) -> "Case":
        """With what probes of the present window and of a rival lost on the same rows; the better window stays."""
        evidence = self.rivals.get(rival, Evidence()).add(present - lost)
        is_better = evidence.at_least(rule.window_z) > 0
        return msgspec.structs.replace(
            self,
            window=rival if is_better else self.window,
            rivals={} if is_better else {**self.rivals, rival: evidence},
            turn=self.turn + 1,
        )

    def move_to(self, window: str) -> "Case":
        """With another window, as the present one is of no use."""
        return self if window == self.window else msgspec.structs.replace(self, window=window, rivals={})

    def learn_shortfall(self, full: FloatArray, probe: FloatArray) -> "Case":
        """With what a full fit and a probe of the same rows lost on others: probes are cheap, and the weaker for it."""
        return msgspec.structs.replace(
            self,
            shortfall=self.shortfall / 2 + float((full - probe).mean()),
            shortfall_weight=self.shortfall_weight / 2 + 1,
        )

    def add(self, champion: FloatArray, probe: FloatArray, *, is_full: bool = False) -> "Case":
        """With what the champion lost on a stretch, and what could have stood in its place.

        Args:
            champion: its losses.
            probe: those of a probe, or of a full model that there is.
            is_full: whether it is that.
        """
        correction = 0.0 if is_full else self._correction()
        lost, now = self.lost.add(champion - probe - correction), float(champion.mean())
        return msgspec.structs.replace(
            self,
            lost=lost if lost.total > 0 else Evidence(),
            stretches=self.stretches + 1,
            usual=self.usual + (now - self.usual) / (self.stretches + 1),
            has_worsened=self.stretches > 0 and now > self.usual,
        )

    @property
    def asks_for_a_rival(self) -> bool:
        """Whether it matters which rows are learned from: a new model seems better, or the champion has worsened."""
        return self.lost.total > 0 or self.has_worsened

    def is_due(self, rule: Rule) -> bool:
        """Whether a retrain has become worth its cost."""
        return self.lost.at_least(rule.z) > rule.cost

    def refuse(self) -> "Case":
        """After a full fit that was no better: what seemed to be lost was not."""
        return msgspec.structs.replace(self, lost=Evidence())

    def release(self) -> "Case":
        """After a release: the new champion has lost nothing yet."""
        return msgspec.structs.replace(self, lost=Evidence(), stretches=0, usual=0.0, has_worsened=False)

    def _correction(self) -> float:
        return min(self.shortfall / self.shortfall_weight, 0.0) if self.shortfall_weight else 0.0
