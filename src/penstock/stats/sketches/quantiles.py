"""A sketch of the distribution of numbers: exact while they are few, of constant size however many they become.

Numbers of level h stand for 2^h rows each. A level that is full is *compacted*: sorted, cut into pairs, and one number
of each pair - all the first or all the second ones - moves up a level. A large batch goes in the same way in one step:
sorted, cut into blocks of 2^h, and the number at the same random place of every block enters level h.

**How wrong a rank can be.** Such a step with blocks of w rows gives each number x an estimated count of values below it
that is one of two multiples of w around the true one, with the true one as its mean. So the errors of successive steps
are the increments of a martingale, each within an interval of length w, and by Hoeffding and Azuma

    P( |error of the rank of x| > t )  <=  2 exp( -2 t^2 / S ),     S = sum of w^2 over all steps.

The rank of x changes only where a value lies, so a union over the n values bounds the error everywhere at once
(`rank_error`). S is counted as the steps are made: the bound is for this very sketch, at any confidence that a test
may need, and costs nothing where nothing was compacted. The random places are drawn by a hash of the values
themselves: the same rows always give the same sketch.

Source: Karnin, Lang and Liberty 2016, for levels whose room shrinks downwards; Agarwal et al. 2012, Mergeable
Summaries, for the analysis of merging.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import FloatArray
from penstock.stats.sketches.hashing import draw

ROOM = 4096  # numbers of the top level, unless less is asked for; up to so many are kept exactly
_SHRINK = 2 / 3  # of the room from a level to the one below
_LEAST_ROOM = 16
_DRAWN_FROM = 512  # numbers of a step that its random place is drawn by; reading all would take as long as the sorting


class QuantileSketch(Struct, frozen=True, eq=False):
    """What is known of some numbers.

    Attributes:
        levels: the numbers of each level, sorted; one of level h stands for 2^h rows.
        rows: how many numbers there were.
        steps: S, the sum of the squared widths of all steps that lost something.
        room: numbers of the top level; ranks of a sketch with less room are less sure.
    """

    levels: tuple[FloatArray, ...] = ()
    rows: int = 0
    steps: float = 0.0
    room: int = ROOM

    def add(self, values: FloatArray) -> "QuantileSketch":
        """With more numbers, shape (n,), all finite."""
        if not len(values):
            return self
        return self.merge(_sketch_batch(values, self.room))

    def merge(self, other: "QuantileSketch") -> "QuantileSketch":
        """Of the numbers of both, with the room of the smaller one."""
        height = max(len(self.levels), len(other.levels))
        joined = [_join(_level(self, at), _level(other, at)) for at in range(height)]
        return _compact(joined, self.rows + other.rows, self.steps + other.steps, min(self.room, other.room))

    @property
    def is_exact(self) -> bool:
        """Whether every number is still there."""
        return self.steps == 0

    def rank_error(self, chance: float) -> float:
        """A share of the rows: no rank is wrong by more, but with this chance."""
        if self.is_exact:
            return 0.0
        rows = math.sqrt(self.steps * math.log(2 * self.rows / chance) / 2)
        return min(rows / self.rows, 1.0)

    def weigh(self) -> tuple[FloatArray, FloatArray]:
        """The numbers that are kept, sorted, and how many rows each stands for; both shape (c,)."""
        if not self.levels:
            return np.empty(0), np.empty(0)
        values = np.concatenate(self.levels)
        weights = np.concatenate([np.full(len(held), 2.0**at) for at, held in enumerate(self.levels)])
        order = np.argsort(values, kind="stable")
        return values[order], weights[order]

    def shares_up_to(self, places: FloatArray) -> FloatArray:
        """The share of rows that are at most each place, shape (p,)."""
        values, weights = self.weigh()
        below = np.concatenate([[0.0], np.cumsum(weights)])
        return np.asarray(below[np.searchsorted(values, places, "right")] / max(self.rows, 1), dtype=np.float64)

    def quantiles(self, shares: Sequence[float] | FloatArray) -> FloatArray:
        """The smallest kept number that at least each share of the rows is at most, shape (p,); not of an empty one."""
        values, weights = self.weigh()
        reached = np.searchsorted(np.cumsum(weights), np.asarray(shares) * self.rows, "left")
        return values[np.minimum(reached, len(values) - 1)]


def _sketch_batch(values: FloatArray, room: int) -> QuantileSketch:
    """Numbers as a sketch of one level, and a few of the lowest."""
    height = max(math.ceil(math.log2(len(values) / room)), 0)
    width = 2**height
    whole = len(values) // width * width
    blocks = np.sort(values[:whole])
    if not height:
        return QuantileSketch((blocks,), len(values), 0.0, room)
    kept = blocks[_place(blocks, width) :: width]
    levels = [np.sort(values[whole:]), *[np.empty(0)] * (height - 1), kept]
    return QuantileSketch(tuple(levels), len(values), float(width) ** 2, room)


def _compact(levels: list[FloatArray], rows: int, steps: float, room: int) -> QuantileSketch:
    """Make room from below; a level without it gives half of its numbers to the next one."""
    at = 0
    while at < len(levels):
        held = levels[at]
        if len(held) > _room(room, at, len(levels)):
            even = len(held) // 2 * 2
            pairs, rest = held[:even], held[even:]
            if at + 1 == len(levels):
                levels.append(np.empty(0))
            levels[at], levels[at + 1] = rest, _join(levels[at + 1], pairs[_place(pairs, 2) :: 2])
            steps += float(2 ** (at + 1)) ** 2
        at += 1
    return QuantileSketch(tuple(levels), rows, steps, room)


def _room(most: int, level: int, height: int) -> int:
    return max(math.ceil(most * _SHRINK ** (height - 1 - level)), _LEAST_ROOM)


def _place(ordered: FloatArray, width: int) -> int:
    some = ordered[:: max(len(ordered) // _DRAWN_FROM, 1)]
    return draw(some.astype("<f8").tobytes(), width)


def _level(sketch: QuantileSketch, at: int) -> FloatArray:
    return sketch.levels[at] if at < len(sketch.levels) else np.empty(0)


def _join(first: FloatArray, second: FloatArray) -> FloatArray:
    if not len(first) or not len(second):
        return first if len(first) else second
    return np.sort(np.concatenate([first, second]))
