from functools import cache

import numpy as np
import polars as pl
import pytest
from msgspec import structs
from threadpoolctl import threadpool_limits

from penstock.core.errors import InvalidInputError
from penstock.loop.replay.history import History, Setup, read_history
from penstock.loop.replay.learner import Learner, Model
from penstock.loop.replay.live import Moment, begin
from penstock.loop.replay.policies import POLICIES, make_policy
from penstock.loop.replay.probing import Loop
from penstock.loop.replay.run import PolicyResult, replay
from penstock.stats.arrays import IntArray

ROWS = 2_000


def stream(*, flips_at: int | None, noise: float = 0.05, rows: int = ROWS, seed: int = 1) -> pl.DataFrame:
    """Two numbers; the class is told by the first, and after the flip by its opposite."""
    generator = np.random.default_rng(seed)
    x, z = generator.random(rows), generator.random(rows)
    label = (x > 0.5) ^ (generator.random(rows) < noise)
    if flips_at is not None:
        label[flips_at:] = ~label[flips_at:]
    return pl.DataFrame({"x": x, "z": z, "label": label})


def history(frame: pl.DataFrame, **settings: int) -> History:
    return read_history(frame, Setup(**{"label": "label", "warmup": 0.2, "chunks": 16, **settings}))


def run(frame: pl.DataFrame, name: str, **settings: int) -> PolicyResult:
    return replay(history(frame, **settings), make_policy(name))


@cache
def turned(name: str, delay: int = 0) -> PolicyResult:
    """What a policy makes of a relation that turns round at row 1,000."""
    return run(stream(flips_at=1_000), name, delay=delay)


def test_where_nothing_changes_the_loop_does_not_retrain() -> None:
    assert run(stream(flips_at=None, noise=0.0), "loop").refits == 0


def test_where_inputs_move_and_the_relation_stays_the_loop_does_not_retrain() -> None:
    frame = stream(flips_at=None, noise=0.0).with_columns(z=pl.col("z") + pl.int_range(ROWS) / 100)
    assert run(frame, "inputs").refits > 8
    assert run(frame, "loop").refits == 0


def test_a_turned_relation_is_learned_soon_from_the_rows_after_it() -> None:
    found = turned("loop")
    assert found.refits >= 1
    assert found.score > turned("static").score + 0.2
    assert all(chunk.score > 0.85 for chunk in found.chunks[-3:])


def test_with_late_outcomes_it_is_learned_as_much_later() -> None:
    soon, late = turned("loop"), turned("loop", delay=2)
    first = [next(number for number, chunk in enumerate(found.chunks) if chunk.refit) for found in (soon, late)]
    assert first[1] >= first[0] + 2
    assert late.chunks[-1].score > 0.85


class WatchedLearner(Learner):
    """Tells where the rows of each probe end."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.ends: list[int] = []

    def probe(self, rows: IntArray) -> Model:
        self.ends.append(int(rows[-1]) + 1)
        return super().probe(rows)


def probe_at(held: History, chunk: int, *, since: int = 0) -> list[int]:
    """Where the rows of the probes of a chunk end; the champion answers since another chunk."""
    learner, outputs = WatchedLearner(held), np.full((len(held), 2), 0.5)
    with threadpool_limits(limits=1):
        champion = structs.replace(begin(held, learner), since=since)
        Loop().act(Moment(history=held, chunk=chunk, champion=champion, outputs=outputs, learner=learner))
    return learner.ends


def test_a_probe_learns_from_all_rows_whose_outcome_is_known_but_those_it_is_tried_on() -> None:
    held = history(stream(flips_at=None), delay=2)
    assert [probe_at(held, chunk) for chunk in (1, 2)] == [[], []]  # no outcome is known
    for chunk in (3, 4, 6):
        ends = probe_at(held, chunk)
        assert ends and set(ends) <= {held.known(chunk) - held.chunk, held.warmup}  # or those of the champion


def test_what_another_model_answered_is_not_held_against_the_champion() -> None:
    held = history(stream(flips_at=None), delay=2)
    assert [bool(probe_at(held, chunk, since=3)) for chunk in (4, 5, 6)] == [False, False, True]


def test_every_fit_is_counted_probes_included() -> None:
    found = turned("loop")
    assert found.fits > found.refits + 15  # one probe at least before each chunk
    sliding = turned("sliding")
    assert (sliding.refits, sliding.fits) == (15, 16)


def test_errors_that_rise_set_off_the_detector_once_per_change() -> None:
    assert run(stream(flips_at=None), "errors").refits == 0
    assert 1 <= turned("errors").refits <= 4


@pytest.mark.parametrize(("name", "delay"), [*((name, 0) for name in POLICIES), ("loop", 2), ("errors", 2)])
def test_no_policy_knows_what_is_yet_to_come(name: str, delay: int) -> None:
    """Other labels from some row on change no answer before the first chunk at which its outcome is known."""
    frame, cut = stream(flips_at=1_000), 1_450
    other = frame.with_columns(label=pl.when(pl.int_range(ROWS) < cut).then("label").otherwise(~pl.col("label")))
    first, second = (run(held, name, delay=delay, chunks=8) for held in (frame, other))
    before = [number for number in range(8) if 400 + 200 * (number + 1) <= cut]
    told = [number for number in range(8) if 400 + 200 * (number - delay) <= cut]
    assert [first.chunks[number].note for number in told] == [second.chunks[number].note for number in told]
    assert [first.chunks[number] for number in before] == [second.chunks[number] for number in before]


def test_numbers_are_scored_by_their_mean_absolute_error() -> None:
    frame = stream(flips_at=None).with_columns(label=pl.col("x") * 100)
    found = run(frame, "static")
    assert (found.metric, found.auc) == ("mae", None)
    assert found.score == pytest.approx(np.mean([chunk.score for chunk in found.chunks]), rel=0.05)
    assert found.score < 5


def test_several_classes_are_replayed_and_a_window_of_one_class_is_no_failure() -> None:
    frame = stream(flips_at=None).with_columns(
        label=pl.when(pl.int_range(ROWS) < 1_000).then(0).otherwise(pl.col("x") * 3)
    )
    frame = frame.with_columns(pl.col("label").cast(pl.Int64))
    assert run(frame, "sliding").metric == "accuracy"
    assert run(frame, "loop").chunks[-1].score > 0.7


def test_a_column_that_goes_missing_makes_nothing_retrain() -> None:
    broken = pl.int_range(ROWS).is_between(1_000, 1_299)
    frame = stream(flips_at=None, noise=0.0).with_columns(x=pl.when(broken).then(None).otherwise("x"))
    assert run(frame, "loop").refits == 0


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInputError, match="slidin") as refused:
        make_policy("slidin")
    assert "sliding" in refused.value.hint
