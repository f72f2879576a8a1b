"""What rewards say of two arms: weighed by the chance of the choice, or as pairs whose order is right."""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray
from penstock.stats.intervals import Interval
from penstock.stats.sequential.evidence import Sums, add_up
from penstock.stats.sequential.means import mean_sequence


class WeighedRewards(Struct, frozen=True, kw_only=True):
    """By how much one arm earns more than another, from rewards and the chance with which each arm was chosen.

    Right also where the shares of the arms change while the rewards do, as from step to step of a rollout: each row is
    weighed by its own chance. Parts add up; neither order nor batches matter.

    Attributes:
        floor: the least chance that either arm ever has, fixed beforehand; below 0.5.
        sums: of the weighed differences, scaled to 0 to 1.
    """

    floor: float
    sums: Sums = Sums(squares=0.0)

    def add(self, rewards: ArrayLike, is_b: ArrayLike, chance_of_b: ArrayLike) -> "WeighedRewards":
        """The same with more rows.

        Args:
            rewards: shape (k,), each between 0 and 1.
            is_b: shape (k,), whether arm b was chosen.
            chance_of_b: shape (k,), the logged propensity of b, known before the choice.

        Raises:
            InvalidInputError: a reward lies outside 0 to 1, or a chance is nearer to 0 or 1 than the floor.
        """
        reward, chance = np.asarray(rewards, dtype=np.float64), np.asarray(chance_of_b, dtype=np.float64)
        if reward.size and not (reward.min() >= 0 and reward.max() <= 1):
            raise InvalidInputError("a reward lies outside 0 to 1", hint="scale it by its bounds", field="rewards")
        if not 0 < self.floor <= 0.5:
            raise InvalidInputError(f"a least chance of {self.floor} cannot be", hint="give one up to 0.5")
        least = np.minimum(chance, 1.0 - chance)
        if chance.size and not least.min() >= self.floor * (1 - 1e-9):
            raise InvalidInputError(
                f"an arm had a chance of {least.min():.4g}, and the floor is {self.floor:.4g}",
                hint="leave out rows where the choice was certain, or lower the floor before the first row",
                field="chance_of_b",
            )
        weighed = np.where(is_b, reward / chance, -reward / (1.0 - chance))
        scaled = np.clip((weighed * self.floor + 1.0) / 2.0, 0.0, 1.0)
        return WeighedRewards(floor=self.floor, sums=self.sums + add_up(scaled))

    @property
    def estimate(self) -> float:
        """The mean reward of b less that of a, so far."""
        return (2.0 * float(self.sums.mean) - 1.0) / self.floor

    def sequence(self, *, alpha_low: float, alpha_high: float) -> Interval:
        """Confidence sequence of the mean reward of b less that of a, in whatever order the rows came.

        Args:
            alpha_low: chance that the difference ever lies below the interval.
            alpha_high: chance that it ever lies above.

        Source: inverse propensity weights in an empirical-Bernstein sequence, Waudby-Smith, Wu, Ramdas, Karampatziakis
        and Mineiro 2024 (Anytime-valid off-policy inference for contextual bandits).
        """
        scaled = mean_sequence(self.sums, alpha_low=alpha_low, alpha_high=alpha_high)
        ends = [max(-1.0, min(1.0, (2.0 * end - 1.0) / self.floor)) for end in (scaled.low, scaled.high)]
        return Interval(ends[0], ends[1])


def pair_scores(truth: ArrayLike, scores: ArrayLike) -> FloatArray:
    """Whether the k-th positive row has a higher score than the k-th negative one: 1, 0, or 0.5 for a tie.

    The mean over independent pairs is the area under the ROC curve, so that `add_up(pair_scores(...))` of two arms can
    be compared at any time; the area over all pairs is a sharper estimate, but no mean of independent values. Each row
    is used once: a rare class makes few pairs.

    Args:
        truth: shape (n,), whether a row is positive, in the order in which the rows became known.
        scores: shape (n,).
    """
    positive, score = np.asarray(truth, dtype=bool), np.asarray(scores, dtype=np.float64)
    ups, downs = score[positive], score[~positive]
    pairs = min(len(ups), len(downs))
    return np.asarray((np.sign(ups[:pairs] - downs[:pairs]) + 1) / 2, dtype=np.float64)
