import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.stats.sequential.detector import LossDetector, watch_loss


def shiryaev_roberts(losses: list[float], tolerated: float) -> list[float]:
    """The recursion written out, one bet at a time."""
    bets = [(1 - tolerated) * 0.98 * 0.5**k / (tolerated * (1 - tolerated)) for k in range(8)]
    state = [0.0] * len(bets)
    path = []
    for loss in losses:
        state = [(1 + r) * (1 + bet * (loss - tolerated)) for r, bet in zip(state, bets, strict=True)]
        path.append(sum(state) / len(state))
    return path


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.9), st.data())
def test_the_detector_is_the_published_recursion_and_can_be_resumed(
    losses: list[float], tolerated: float, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(losses)))
    start = watch_loss(tolerated, run_length=50)
    stored = codec.decode(codec.encode(start.update(losses[:cut])), LossDetector)
    detector = stored.update(losses[cut:])
    path = shiryaev_roberts(losses, tolerated)
    assert detector.evidence == pytest.approx(path[-1] / 50, rel=1e-6)
    first = next((row + 1 for row, value in enumerate(path) if value >= 50 * (1 + 1e-9)), None)
    if not any(abs(value / 50 - 1) < 1e-6 for value in path):
        assert detector.alarm_at == first
    assert detector.n == len(losses)


def test_false_alarms_are_as_rare_as_promised() -> None:
    generator = np.random.default_rng(12)
    lengths = []
    for _ in range(150):
        detector = watch_loss(0.1, run_length=500).update(generator.random(4000) < 0.1)
        lengths.append(detector.alarm_at or 4000)
    assert np.mean(lengths) >= 500


def test_a_risen_loss_is_found_soon() -> None:
    generator = np.random.default_rng(13)
    delays = []
    for _ in range(50):
        before, after = generator.random(1000) < 0.05, generator.random(3000) < 0.15
        detector = watch_loss(0.06, run_length=1e5).update(before).update(after)
        assert detector.alarmed
        delays.append((detector.alarm_at or 0) - 1000)
    assert min(delays) > 0
    assert np.median(delays) < 250


def test_senseless_requests_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="tolerated"):
        watch_loss(0.0, run_length=100)
    with pytest.raises(InvalidInputError, match="run length"):
        watch_loss(0.5, run_length=0.5)
    with pytest.raises(InvalidInputError, match="outside 0 to 1"):
        watch_loss(0.5, run_length=100).update([1.5])
