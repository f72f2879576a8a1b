"""How often do the watches of a project cry wolf? No-drift history, made of real rows, run through the real tests.

Rows of the live version's reference are drawn anew for every replay: a reference, and after it window by window. All
come from the same rows, so every alarm is false. Where rows have keys, whole keys are drawn. Losses are drawn likewise
from all that the windows of a version have recorded, whatever their order was.

What is measured is the whole way from rows to alarm, under the budget of the project: sketches, the choice of the test,
Holm's procedure, the level spent over time. What it cannot show are alarms of changes that are real.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.ids import Digest
from penstock.monitoring.budget import SPANS, AlarmBudget
from penstock.monitoring.decay import Harm, WindowLosses, judge_losses
from penstock.monitoring.drift import compare_spans
from penstock.monitoring.sketches import Cut, TableSketch, sketch_cut_frame, sketch_reference
from penstock.monitoring.types import LossEvidence
from penstock.stats.arrays import FloatArray, IntArray, cluster_codes
from penstock.stats.intervals import mean_interval

Progress = Callable[[], None]


class Calibration(Struct, frozen=True, kw_only=True):
    """What came of the replays of one watch.

    Attributes:
        watch: `inputs`, or the one that measures harm (`watches.py`).
        replays: how many histories were run.
        windows: of each.
        window_rows: rows (inputs) or keys (losses) of each window.
        alarms: false ones, in all replays together.
        budget: how many a history of so many windows may have on average.
        measured: how many it had.
        low: where the true mean lies with a certainty of 95 %, at least...
        high: ... and at most.
    """

    watch: str
    replays: int
    windows: int
    window_rows: int
    alarms: int
    budget: float
    measured: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether what was measured is within the budget, or could be by chance."""
        return self.low <= self.budget


class Plan(Struct, frozen=True, kw_only=True):
    """How much is replayed.

    Attributes:
        replays: histories, each with a reference of its own.
        windows: in each.
        window_rows: in each window.
        seed: the same one gives the same answer.
    """

    replays: int
    windows: int
    window_rows: int
    seed: int = 0


def calibrate_inputs(
    rows: pl.DataFrame,
    keys: Sequence[str] | None,
    columns: Sequence[str],
    budget: AlarmBudget,
    plan: Plan,
    progress: Progress | None = None,
    slices: Sequence[str] = (),
) -> Calibration:
    """Replay windows of inputs in which nothing has moved.

    Args:
        rows: the reference of the live version.
        keys: which of them belong together.
        columns: those that are watched.
        budget: of this watch.
        plan: how much is replayed.
        progress: called after each replay.
        slices: the columns whose segments are watched, too (`budget.list_segment_columns`).
    """
    chosen = rows.select([name for name in dict.fromkeys([*columns, *slices]) if name in rows.columns])
    draw = _Drawing(chosen, keys, slices)
    counts = []
    for replay in range(plan.replays):
        rng = np.random.default_rng((plan.seed, replay))
        counts.append(sum(_drifting(draw, rng, columns, budget, plan)))
        if progress is not None:
            progress()
    expected = sum(budget.level(number) for number in range(1, plan.windows + 1))
    return _told("inputs", counts, expected, plan)


def calibrate_losses(
    watch: str,
    harm: Harm,
    losses: FloatArray,
    budget: AlarmBudget,
    plan: Plan,
    progress: Progress | None = None,
) -> Calibration:
    """Replay windows of losses that have not risen; an alarm starts the detector anew.

    Args:
        watch: its name (`watches.py`).
        harm: how its losses are to be read.
        losses: all that are known of one version, one per key.
        budget: of this watch.
        plan: how much is replayed.
        progress: called after each replay.
    """
    counts = []
    for replay in range(plan.replays):
        rng = np.random.default_rng((plan.seed, replay))
        drawn = [rng.choice(losses, plan.window_rows) for _ in range(plan.windows)]
        chain = [
            WindowLosses(each, LossEvidence(mean_loss=float(each.mean()), groups=len(each), losses=Digest("")))
            for each in drawn
        ]
        lost = [evidence.lost for evidence in judge_losses(harm, chain, budget)]
        counts.append(sum(now and not before for before, now in zip([False, *lost], lost, strict=False)))
        if progress is not None:
            progress()
    return _told(watch, counts, plan.windows * budget.rate, plan)


def _drifting(
    draw: "_Drawing", rng: np.random.Generator, columns: Sequence[str], budget: AlarmBudget, plan: Plan
) -> Iterator[bool]:
    """Whether each window of one history alarms."""
    reference = draw.sketch(rng, draw.height)
    cuts = tuple(held.cut for held in reference.segments)
    past: deque[TableSketch] = deque(maxlen=max(SPANS))
    for number in range(1, plan.windows + 1):
        past.append(draw.sketch(rng, plan.window_rows, cuts))
        levels = budget.levels(number)
        spans = {span: reduce(TableSketch.merge, list(past)[-span:]) for span in levels}
        yield any(result.drifted for result in compare_spans(reference, spans, columns, levels))


class _Drawing:
    """Draws rows with replacement, whole keys at a time where there are any."""

    def __init__(self, rows: pl.DataFrame, keys: Sequence[str] | None, slices: Sequence[str]) -> None:
        self._rows = rows
        self._slices = slices
        self.height = rows.height
        self._places: list[IntArray] | None = None
        if keys is not None:
            codes = cluster_codes(list(keys))
            order = np.argsort(codes, kind="stable")
            self._places = np.split(order, np.cumsum(np.bincount(codes))[:-1])

    def sketch(self, rng: np.random.Generator, rows: int, cuts: Sequence[Cut] | None = None) -> TableSketch:
        """Of so many rows or some more, in segments as given, or, of a reference, where its own values say."""
        if self._places is None:
            drawn, keys = self._rows[rng.integers(self.height, size=rows)], None
        else:
            places = self._draw_keys(rng, rows)
            drawn = self._rows[np.concatenate(places)]
            keys = np.repeat(np.arange(len(places)), [len(each) for each in places]).astype(str).tolist()
        return sketch_reference(drawn, self._slices, keys) if cuts is None else sketch_cut_frame(drawn, cuts, keys)

    def _draw_keys(self, rng: np.random.Generator, rows: int) -> list[IntArray]:
        """The rows of each of some keys."""
        if self._places is None:
            raise ValueError("the rows have no keys")
        chosen, held = list[IntArray](), 0
        while held < rows:
            chosen.append(self._places[rng.integers(len(self._places))])
            held += len(chosen[-1])
        return chosen


def _told(watch: str, counts: list[int], budget: float, plan: Plan) -> Calibration:
    interval = mean_interval(np.array(counts, dtype=float)) if len(counts) > 1 else None
    measured = float(np.mean(counts))
    # Counts that are all alike have no spread; three more alarms than none would have been seen with 95 %.
    high = max(interval.high, 3 / len(counts)) if interval is not None else float("inf")
    return Calibration(
        watch=watch,
        replays=plan.replays,
        windows=plan.windows,
        window_rows=plan.window_rows,
        alarms=sum(counts),
        budget=budget,
        measured=measured,
        low=max(interval.low, 0.0) if interval is not None else 0.0,
        high=high,
    )
